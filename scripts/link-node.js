// Runs after `npm ci`. Several packages bring a `node` (one per platform), and some versions of npm then link none of them into
// node_modules/.bin, where every script looks first. Plain JavaScript: whatever Node is here must be able to run it.
import { existsSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const modules = fileURLToPath(new URL('../node_modules/', import.meta.url))
const binary = `node-${process.platform}-${process.arch}/bin/node`

if (process.platform !== 'win32' && existsSync(modules + binary) && !existsSync(`${modules}.bin/node`)) {
  symlinkSync(`../${binary}`, `${modules}.bin/node`)
}
