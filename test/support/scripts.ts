import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import tap from 'tap'
import type { Order } from './script-host.ts'
import { CHEAP_HASHES, type Finished, inherited, login, ROOT, type ServerProcess, type Tokens } from './service.ts'
import { PASSWORD } from './settings.ts'

// Operators run a script some forty times in these tests. One process of Node for all of them, which has loaded the
// code that they share, runs them one after the other, each with arguments, settings and input of its own; see
// script-host.ts. What only a process of its own can show (two at once, a kill, a file system that is full) is
// started with `run` of service.ts.

let host: ChildProcess | undefined
let last: Promise<unknown> = Promise.resolve()
let count = 0

/**
 * Runs a script of the project with its arguments.
 *
 * @param options.killAt nothing of the file system changes from this change on, as if the process had been killed
 *   just before it
 * @param options.as the user and the group of the run, without any other group; only root may ask for that
 */
export function runScript(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
  options: Partial<Pick<Order, 'stdin' | 'killAt' | 'as'>> = {},
): Promise<Finished> {
  const run = last.then(() => order({ program, args, env: { ...inherited(), ...env }, stdin: '', ...options }))
  last = run.catch(() => undefined)
  return run
}

/** Runs the accounts script, as an operator does. */
export async function accounts(env: Record<string, string>, args: string, stdin = ''): Promise<void> {
  const { code, stderr } = await runScript('scripts/accounts.ts', args.split(' '), env, { stdin })
  if (code !== 0) throw new Error(stderr)
}

export async function adminOf(node: ServerProcess, email = 'admin@example.com'): Promise<Tokens> {
  await accounts(node.env, `create --email ${email} --role admin`, PASSWORD)
  return login(node, email)
}

async function order(order: Omit<Order, 'id'>): Promise<Finished> {
  host ??= start()
  count += 1
  host.ref()
  host.channel?.ref()
  host.send({ ...order, id: count })
  const heard = new AbortController()
  const ended = once(host, 'exit', heard).then(([code]) =>
    Promise.reject(new Error(`the process of the scripts ended: ${code}`)),
  )
  const answers = Promise.race([once(host, 'message', heard), ended])
  const [finished] = (await answers.finally(() => heard.abort())) as [Finished]
  host.unref()
  host.channel?.unref()
  return finished
}

function start(): ChildProcess {
  const child = fork(fileURLToPath(new URL('./script-host.ts', import.meta.url)), {
    cwd: ROOT,
    env: inherited(),
    execArgv: ['./src/require-node.js', CHEAP_HASHES].flatMap((file) => ['--import', file]),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  child.unref()
  tap.teardown(async () => {
    child.ref()
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  })
  return child
}
