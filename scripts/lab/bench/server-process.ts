import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { ROOT } from '../../../test/support/service.ts'
import { Child, inherited } from './child.ts'
import { call } from './client.ts'
import type { Bench } from './figure.ts'

/** A server that has not answered by then has failed to start. */
const BOOT_TIMEOUT_MS = 60_000

const HOST = '127.0.0.1'

export interface Server {
  readonly child: Child
  readonly origin: string
  /** Milliseconds from the start of the process to its first good answer. */
  readonly bootTime: number
}

export interface ServerOptions {
  readonly core?: number | undefined
  /** Folder of Node's compile cache. Default: one that the servers of this run share. */
  readonly compileCache?: string
  /** Settings of a Signet server. Default: those of `settings`. */
  readonly env?: Record<string, string>
}

/** The reply of the bare server, and its reply schema. */
export interface BareReply {
  readonly body: string
  readonly schema: unknown
  /** With a key it verifies the signature of every request's token. */
  readonly publicPem?: string
}

/** A folder with a signing key and a place for the database: what a Signet server is started with. */
export async function makeHome(bench: Bench): Promise<string> {
  const home = await mkdtemp(join(bench.folder, 'signet-'))
  const keys = new Child({ args: ['scripts/keys.ts', 'rotate'], env: settings(home) })
  await keys.finished()
  return home
}

/** The real server, set up as in production. */
export function startSignet(bench: Bench, home: string, options: ServerOptions = {}): Promise<Server> {
  return start(bench, options, '/health/ready', (port) => ({
    args: ['src/server.ts'],
    env: { ...(options.env ?? settings(home)), PORT: String(port), ISSUER: `http://${HOST}:${port}` },
  }))
}

/** Makes the packages that other projects install, in dist/. */
export async function makePackages(): Promise<void> {
  const args = ['--import', './src/require-node.js', 'scripts/build/package.ts']
  await promisify(execFile)(process.execPath, args, { env: inherited(), cwd: ROOT })
}

/**
 * signet-gate for the tokens of a Signet server, as the package brings it: call `makePackages` before. It has started
 * when it can judge tokens.
 */
export function startGate(bench: Bench, { origin }: Server, options: ServerOptions = {}): Promise<Server> {
  return start(bench, options, '/health/ready', (port) => ({
    args: ['dist/signet-verifier/esm/verifier/gate/signet-gate.js'],
    env: { ISSUER: origin, AUDIENCE: origin, PORT: String(port) },
  }))
}

/** Fastify with one open route and nothing else: the cost of the framework. */
export function startBare(bench: Bench, reply: BareReply, options: ServerOptions = {}): Promise<Server> {
  return startScript(bench, options, (port) => ({
    args: ['scripts/lab/bench/bare-server.ts', HOST, String(port), JSON.stringify(reply)],
  }))
}

/** The reply for the bare server: the exact body of Signet's reply, with the schema that Signet documents for it. */
export async function replyOf({ origin }: Server, headers: Record<string, string>): Promise<BareReply> {
  const { paths, components } = JSON.parse(await call(`${origin}/openapi.json`))
  const { schema } = paths['/v1/me'].get.responses['200'].content['application/json']
  const name = schema.$ref?.split('/').at(-1)
  return { body: await call(`${origin}/v1/me`, { headers }), schema: components?.schemas?.[name] ?? schema }
}

export const serverKeys = (home: string) => ({ dir: join(home, 'keys'), passphrase: undefined })

/** The settings of a server with the limits of a real one. */
export function limitedSettings(home: string): Record<string, string> {
  return {
    NODE_ENV: 'production',
    LOG_LEVEL: 'silent',
    HOST,
    KEYS_DIR: serverKeys(home).dir,
    DATABASE_URL: `sqlite:${join(home, 'signet.db')}`,
  }
}

/** The settings of a server without limits, and of the scripts that work on its folder. */
export function settings(home: string): Record<string, string> {
  return {
    ...limitedSettings(home),
    // Every request of the load comes from one address, for few accounts and one client.
    RATE_LIMIT_LOGIN: '0',
    LOGIN_FREE_FAILURES: '0',
    LOGIN_FAILURES_PER_ACCOUNT: '0',
    LOGIN_FAILURES_PER_NETWORK: '0',
    RATE_LIMIT_REGISTER: '0',
    RATE_LIMIT_REFRESH: '0',
    RATE_LIMIT_REFRESH_PER_SESSION: '0',
    // A session that is refreshed hundreds of times within the grace would be told to wait.
    REFRESH_GRACE: '0',
    RATE_LIMIT_TOKEN: '0',
    RATE_LIMIT_TOKEN_PER_CLIENT: '0',
    RATE_LIMIT_INTROSPECT: '0',
    RATE_LIMIT_PASSWORD_CHANGE: '0',
    RATE_LIMIT_PASSWORD_CHANGE_PER_NETWORK: '0',
    RATE_LIMIT_STORE: '0',
    RATE_LIMIT_RECOVERY: '0',
    RATE_LIMIT_CONFIRM: '0',
    RATE_LIMIT_MESSAGES_PER_EMAIL: '0',
    RATE_LIMIT_REGISTER_PER_EMAIL: '0',
    // If the server refused requests under load, the figures would mean nothing. That the machine was busy is in the
    // report.
    LOAD_MAX_EVENT_LOOP_DELAY: '0',
  }
}

/** Starts another server of this run. It has started when it gives any answer at all. */
export function startScript(bench: Bench, options: ServerOptions, command: Command): Promise<Server> {
  return start(bench, options, '/', command, (status) => status !== undefined)
}

type Command = (port: number) => { args: string[]; env?: Record<string, string> }
type Status = number | 'no HTTP' | undefined

async function start(
  bench: Bench,
  { core, compileCache = join(bench.folder, 'compile-cache') }: ServerOptions,
  path: string,
  command: Command,
  isGood: (status: Status) => boolean = (status) => status === 200,
): Promise<Server> {
  const port = await freePort()
  const { args, env = {} } = command(port)
  const started = performance.now()
  const child = new Child({ args, env: { ...env, NODE_COMPILE_CACHE: compileCache }, core })
  const origin = `http://${HOST}:${port}`
  try {
    await firstAnswer(child, `${origin}${path}`, isGood)
  } catch (error) {
    await child.stop()
    throw error
  }
  return { child, origin, bootTime: performance.now() - started }
}

async function firstAnswer(child: Child, url: string, isGood: (status: Status) => boolean): Promise<void> {
  const deadline = performance.now() + BOOT_TIMEOUT_MS
  while (!isGood(await statusOf(url))) {
    child.assertRunning()
    if (performance.now() > deadline) throw new OperatorError(`${url} gave no good answer within ${BOOT_TIMEOUT_MS} ms`)
    await sleep(2)
  }
}

/** @returns undefined while nothing listens on the port */
function statusOf(url: string): Promise<Status> {
  return new Promise((resolve) => {
    get(url, { agent: false }, (reply) => {
      reply.resume().once('end', () => resolve(reply.statusCode))
    }).once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED' ? undefined : 'no HTTP'))
  })
}
