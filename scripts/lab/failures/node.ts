import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { UNLIMITED } from '../../../test/support/settings.ts'
import { Child } from '../bench/child.ts'
import type { Run } from './failure.ts'

const HOST = '127.0.0.1'
/** A server that is not ready by then has failed to start. */
const BOOT_TIMEOUT_MS = 60_000

export type Env = Readonly<Record<string, string>>

/** A server process of a run. */
export interface Node {
  readonly child: Child
  readonly origin: string
  readonly env: Env
  /** Milliseconds from its start to its first good answer. */
  readonly bootTime: number
}

/**
 * The settings of a new service: a folder for its keys and, unless another one is given, its database; and a port that
 * it keeps.
 */
export async function newService({ folder, prepare }: Pick<Run, 'folder' | 'prepare'>, own: Env = {}): Promise<Env> {
  const home = await mkdtemp(join(folder, 'service-'))
  const { NODE_OPTIONS = '', ...settings } = own
  const options = (await prepare?.(join(home, 'keys'))) ?? ''
  return {
    NODE_ENV: 'test',
    NODE_OPTIONS: `${options} ${NODE_OPTIONS}`.trim(), // the caller's options are not for the servers
    LOG_LEVEL: 'silent',
    HOST,
    PORT: String(await freePort()),
    ISSUER: 'http://signet.test',
    KEYS_DIR: join(home, 'keys'),
    DATABASE_URL: `sqlite:${join(home, 'signet.db')}`,
    PASSWORD_QUEUE: '1000',
    ...UNLIMITED,
    ...settings,
  }
}

/** The settings of another server of the same service. */
export async function beside(env: Env): Promise<Env> {
  return { ...env, PORT: String(await freePort()) }
}

/** Starts a server, and waits until it is ready. */
export async function startNode(env: Env): Promise<Node> {
  const started = performance.now()
  const child = new Child({ args: ['src/server.ts'], env })
  const origin = `http://${HOST}:${env.PORT}`
  try {
    while ((await statusOf(`${origin}/health/ready`)) !== 200) {
      child.assertRunning()
      if (performance.now() - started > BOOT_TIMEOUT_MS) throw new OperatorError(`${origin} did not get ready`)
      await sleep(25)
    }
  } catch (error) {
    child.process.kill('SIGKILL')
    throw error
  }
  return { child, origin, env, bootTime: performance.now() - started }
}

/** @returns undefined when there was no answer */
export async function statusOf(url: string): Promise<number | undefined> {
  try {
    const reply = await fetch(url)
    await reply.body?.cancel()
    return reply.status
  } catch {
    return undefined
  }
}

export async function kill({ child }: Node): Promise<void> {
  child.process.kill('SIGKILL')
  await child.finished().catch(() => undefined)
}

/** @returns the exit code, and how many milliseconds it took */
export async function terminate({ child }: Node): Promise<{ code: number | null; ms: number }> {
  const began = performance.now()
  if (!child.ended) child.process.kill('SIGTERM')
  await child.finished().catch(() => undefined)
  return { code: child.process.exitCode, ms: performance.now() - began }
}
