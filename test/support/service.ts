import './quick-keys.ts'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { generatePrivateKey, storePrivateKey } from '../../src/keys/private-keys.ts'
import { PASSWORD, UNLIMITED } from './settings.ts'
import { temporaryFolder } from './temporary-folder.ts'

// Real server processes, and what clients, admins and operators do with them.

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

/**
 * tap gives every process that a test starts options for Node, which load its own code first. These are the test's
 * alone.
 */
const WITHOUT_TAP = 'export NODE_OPTIONS="$OPTIONS_FOR_NODE"; unset OPTIONS_FOR_NODE; exec "$0" "$@"'

/**
 * Starts one of the project's programs as a real process. It is killed with the test at the latest.
 *
 * @param as the user and the group of the process, without any other group; only root may ask for that
 * @param preloads files that the process loads first
 */
export function run(
  t: Test,
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
  stdin = '',
  as: { uid?: number; gid?: number } = {},
  preloads: readonly string[] = [],
): Running {
  const { NODE_OPTIONS = '', ...settings } = env
  const imports = ['./src/require-node.js', ...preloads].flatMap((file) => ['--import', file])
  const command = [process.execPath, ...imports, program, ...args]
  const child = spawn('sh', ['-c', WITHOUT_TAP, ...command], {
    cwd: ROOT,
    env: { ...inherited(), ...settings, OPTIONS_FOR_NODE: NODE_OPTIONS },
    ...as,
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

/** Only what a program needs to run: a setting of this machine must not leak into a test. */
export function inherited(): Record<string, string> {
  const { PATH = '', HOME = '', TMPDIR = '' } = process.env
  return { PATH, HOME, TMPDIR }
}

/** Settings that keep a process inside its own folder, and switch its rate limits off. */
export async function isolated(t: Test): Promise<Record<string, string>> {
  const dir = await temporaryFolder(t)
  return {
    KEYS_DIR: join(dir, 'keys'),
    DATABASE_URL: `sqlite:${join(dir, 'data', 'signet.db')}`,
    MAIL_URL: `file:${join(dir, 'outbox')}`,
    APP_URL: 'https://app.example.com', // production needs it for messages
    PORT: '0',
    ...UNLIMITED,
  }
}

/** Settings that make any number of servers nodes of one service. */
export async function sharedSettings(t: Test, settings: Record<string, string> = {}): Promise<Record<string, string>> {
  return { ...(await isolated(t)), ISSUER: 'http://signet.test', PASSWORD_QUEUE: '1000', ...settings }
}

export interface ServerProcess extends Running {
  readonly url: string
  readonly env: Record<string, string>
}

/** Hashes passwords at a low cost: see cheap-hashes.js. */
export const CHEAP_HASHES = './test/support/cheap-hashes.js'
/** What a server process of a test loads first; each file says why. */
export const SERVER_PRELOADS = ['./test/support/no-collection.js', './test/support/lazy-schemas.js', CHEAP_HASHES]

/** Two keys of its own for a server to adopt: it would take a fifth of its boot to make them. */
export async function giveKeys(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  for (let count = 0; count < 2; count += 1)
    await storePrivateKey({ dir, passphrase: undefined }, await generatePrivateKey(2048))
}

/**
 * Starts `src/server.ts` and waits until it listens. Without KEYS_DIR it finds two keys. It keeps the garbage of its
 * boot, compiles the schemas that it needs, and its password hashes are cheap.
 */
export async function startServer(t: Test, settings: Record<string, string> = {}): Promise<ServerProcess> {
  const own = await isolated(t)
  const env = { ...own, ...settings }
  if (settings.KEYS_DIR === undefined) await giveKeys(String(own.KEYS_DIR))
  const running = run(t, 'src/server.ts', [], env, '', {}, SERVER_PRELOADS)
  const url = await new Promise<string>((resolve, reject) => {
    running.child.stdout?.on('data', () => {
      const [, found] = /(?:docs|ready) at (http:\/\/[^"\s/]+)/.exec(running.output()) ?? []
      if (found !== undefined) resolve(found)
    })
    running.finished.then(({ code, stderr }) => reject(new Error(`the server ended with ${code}: ${stderr}`)))
  })
  return { ...running, url, env }
}

/** Two nodes that boot together. */
export async function twoNodes(t: Test, env: Record<string, string>): Promise<[ServerProcess, ServerProcess]> {
  return Promise.all([startServer(t, env), startServer(t, env)])
}

/** Waits until a server has printed a text. */
export async function said(server: Running, text: string): Promise<void> {
  while (!server.output().includes(text)) await once(server.child.stdout as NodeJS.EventEmitter, 'data')
}

/** Sends SIGTERM. @returns how the process ended */
export async function stopped(server: Running): Promise<Finished> {
  server.child.kill('SIGTERM')
  return server.finished
}

type Url = Pick<ServerProcess, 'url'>

const bearer = (access: string) => ({ authorization: `Bearer ${access}` })

export async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return send('POST', url, body, headers)
}

async function send(method: string, url: string, body: unknown, headers: Record<string, string>): Promise<Response> {
  return fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

export interface Tokens {
  readonly access: string
  readonly refresh: string
}

/** @returns the id of the account */
export async function register({ url }: Url, email: string): Promise<string> {
  const reply = await post(`${url}/v1/accounts`, { email, password: PASSWORD })
  if (reply.status !== 201) throw new Error(`register: ${await reply.text()}`)
  return ((await reply.json()) as { id: string }).id
}

export const postLogin = ({ url }: Url, email: string) => post(`${url}/v1/login`, { email, password: PASSWORD })

export async function login(server: Url, email: string): Promise<Tokens> {
  return tokensOf(await postLogin(server, email))
}

export const postRefresh = ({ url }: Url, { refresh }: Pick<Tokens, 'refresh'>) =>
  post(`${url}/v1/refresh`, { refresh_token: refresh })

export async function tokensOf(reply: Response): Promise<Tokens> {
  if (reply.status !== 200) throw new Error(`${reply.status}: ${await reply.text()}`)
  const { access_token, refresh_token } = (await reply.json()) as { access_token: string; refresh_token: string }
  return { access: access_token, refresh: refresh_token }
}

export const getMe = ({ url }: Url, { access }: Pick<Tokens, 'access'>) =>
  fetch(`${url}/v1/me`, { headers: bearer(access) })

/** What `GET /v1/me` says: 200, or the code of the refusal. */
export async function verdict(server: Url, tokens: Pick<Tokens, 'access'>): Promise<200 | string> {
  const reply = await getMe(server, tokens)
  const { code } = (await reply.json()) as { code?: string }
  return reply.status === 200 ? 200 : String(code)
}

export async function logout({ url }: Url, { access }: Pick<Tokens, 'access'>): Promise<void> {
  const reply = await post(`${url}/v1/logout`, {}, bearer(access))
  if (reply.status !== 204) throw new Error(`logout: ${await reply.text()}`)
}

/** The header (0) or the claims (1) of a token, unverified. */
export function partOf(token: string, index: 0 | 1) {
  return JSON.parse(Buffer.from(token.split('.')[index] ?? '', 'base64url').toString())
}

/** What an admin does to an account. */
export async function change({ url }: Url, admin: Tokens, id: string, body: object): Promise<void> {
  const reply = await send('PATCH', `${url}/v1/admin/accounts/${id}`, body, bearer(admin.access))
  if (reply.status !== 200) throw new Error(`change: ${await reply.text()}`)
}
