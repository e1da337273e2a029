import './quick-derivations.ts'
import './quick-keys.ts'
import { promises } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import type { Finished } from './service.ts'

// A process that runs scripts one after the other, as if each had one of its own: see scripts.ts.

export interface Order {
  readonly id: number
  readonly program: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly stdin: string
  readonly killAt?: number
  /** The user and the group of the run, without any other group: only for root. */
  readonly as?: { readonly uid?: number; readonly gid?: number }
}

class Ended extends Error {}

interface Run {
  stdout: string
  stderr: string
  code: number | undefined
  killed: boolean
  /** Changes of the file system that are still to come before the one at which it is killed. */
  left: number
}

let run: Run | undefined
const isRoot = process.geteuid?.() === 0
const groups = process.getgroups?.() ?? []

for (const name of ['stdout', 'stderr'] as const) {
  const original = process[name].write.bind(process[name])
  process[name].write = ((chunk: string | Uint8Array, ...rest: never[]) => {
    if (run === undefined) return original(chunk, ...rest)
    if (!isOver(run)) run[name] += chunk
    return true
  }) as typeof process.stdout.write
}

const exit = process.exit
process.exit = ((code?: number) => {
  if (run === undefined) return exit(code)
  if (!isOver(run)) run.code = code ?? 0
  throw new Ended()
}) as typeof process.exit

await interceptChanges()
becomeForOneRun()

process.on('disconnect', () => exit(0))
process.on('message', async (order: Order) => process.send?.(await perform(order)))

const isOver = ({ code, killed }: Run): boolean => code !== undefined || killed

async function perform({
  id,
  program,
  args,
  env,
  stdin,
  killAt = Number.POSITIVE_INFINITY,
  as,
}: Order): Promise<Finished> {
  const path = join(process.cwd(), program)
  process.argv = [process.execPath, path, ...args]
  for (const name of Object.keys(process.env)) if (!name.startsWith('_TAPJS_')) delete process.env[name]
  Object.assign(process.env, env)
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(stdin)]), configurable: true })
  const mine: Run = { stdout: '', stderr: '', code: undefined, killed: false, left: killAt }
  process.exitCode = undefined
  run = mine
  try {
    become(as)
    await import(`${pathToFileURL(path).href}?run=${id}`) // a module is run once: by another name it is another one
  } catch (error) {
    if (!isOver(mine)) Object.assign(mine, { code: 1, stderr: `${mine.stderr}${(error as Error).stack}` })
  } finally {
    run = undefined
    becomeRoot()
  }
  const { stdout, stderr, code, killed } = mine
  return {
    stdout,
    stderr,
    code: killed ? null : (code ?? Number(process.exitCode ?? 0)),
    signal: killed ? 'SIGKILL' : null,
  }
}

function become(as: Order['as']): void {
  if (as === undefined) return
  process.setgroups?.([])
  if (as.gid !== undefined) process.setegid?.(as.gid)
  if (as.uid !== undefined) process.seteuid?.(as.uid)
}

/** A script of root becomes another user for good; here it does until it ends. The kernel asks the effective user. */
function becomeForOneRun(): void {
  if (!isRoot) return
  process.setgid = (id) => process.setegid?.(id)
  process.setuid = (id) => process.seteuid?.(id)
}

function becomeRoot(): void {
  if (!isRoot) return
  process.seteuid?.(0)
  process.setegid?.(0)
  process.setgroups?.(groups)
}

/** Counts the same changes as kill-at.js. From the chosen change on, none is made. */
async function interceptChanges(): Promise<void> {
  const handle = await promises.open(import.meta.filename)
  const FileHandle = Object.getPrototypeOf(handle)
  await handle.close()
  intercept(promises, ['rename', 'rm'], 1)
  intercept(FileHandle, ['writeFile', 'sync', 'close'], 1)
  intercept(promises, ['open', 'mkdir', 'chmod', 'writeFile', 'unlink'], 0)
  syncBuiltinESMExports()
}

function intercept(object: object, names: readonly string[], counts: 0 | 1): void {
  for (const name of names) {
    const original = Reflect.get(object, name)
    Reflect.set(object, name, async function (this: unknown, ...args: unknown[]) {
      if (run !== undefined) {
        run.left -= counts
        if (run.left <= 0) run.killed = true
        if (run.killed) {
          if (name === 'close') await Reflect.apply(original, this, args) // the kernel does that much
          throw new Ended()
        }
      }
      return Reflect.apply(original, this, args)
    })
  }
}
