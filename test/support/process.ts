import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { temporaryFolder, UNLIMITED } from './app.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly child: ChildProcess
  /** Resolves when the process has ended. */
  readonly finished: Promise<Finished>
  /** What it printed so far. */
  output(): string
}

/** Starts one of the project's programs as a real process. It is killed with the test at the latest. */
export function run(
  t: Test,
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
  stdin = '',
): Running {
  // Only what a program needs to run: a setting of this machine must not leak into a test.
  const clean = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', TMPDIR: process.env.TMPDIR ?? '' }
  const child = spawn(process.execPath, ['--import', './src/require-node.js', program, ...args], {
    cwd: ROOT,
    env: { ...clean, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.on('error', () => undefined) // it may have ended before it read
  child.stdin.end(stdin)
  const finished = new Promise<Finished>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  )
  t.teardown(async () => {
    child.kill('SIGKILL')
    await finished
  })
  return { child, finished, output: () => stdout + stderr }
}

/** Settings that keep a process inside a folder of its own, and let it work as fast as a test asks. */
export async function isolated(t: Test): Promise<Record<string, string>> {
  const dir = await temporaryFolder(t)
  return {
    KEYS_DIR: join(dir, 'keys'),
    DATABASE_URL: `sqlite:${join(dir, 'data', 'signet.db')}`,
    PORT: '0',
    ...UNLIMITED,
  }
}

export interface ServerProcess extends Running {
  readonly url: string
  readonly env: Record<string, string>
}

/** Starts `src/server.ts` and waits until it listens. */
export async function startServer(t: Test, settings: Record<string, string> = {}): Promise<ServerProcess> {
  const env = { ...(await isolated(t)), ...settings }
  const running = run(t, 'src/server.ts', [], env)
  const url = await new Promise<string>((resolve, reject) => {
    running.child.stdout?.on('data', () => {
      const [, found] = /docs at (http:[^"\s]+)\/docs/.exec(running.output()) ?? []
      if (found !== undefined) resolve(found)
    })
    running.finished.then(({ code, stderr }) => reject(new Error(`the server ended with ${code}: ${stderr}`)))
  })
  return { ...running, url, env }
}

export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}
