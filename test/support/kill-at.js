// Loaded into a script by test/system/keys/crash.test.ts. JavaScript, because NODE_OPTIONS names it: any Node that the
// script starts must be able to read it. It ends the process with SIGKILL just before its n-th change of the file
// system.
import { promises } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const target = Number(process.env.KILL_AT)
let count = 0

const step = async () => {
  count += 1
  if (count !== target) return
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => undefined)
}

const handle = await promises.open(import.meta.filename)
const FileHandle = Object.getPrototypeOf(handle)
await handle.close()

for (const [object, name] of [
  [promises, 'rename'],
  [promises, 'rm'],
  [FileHandle, 'writeFile'],
  [FileHandle, 'sync'],
  [FileHandle, 'close'],
]) {
  const original = object[name]
  object[name] = async function (...args) {
    await step()
    return original.apply(this, args)
  }
}
syncBuiltinESMExports()
