import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer } from 'node:tls'
import { promisify } from 'node:util'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { login, logout, post, register } from '../../../test/support/service.ts'
import { Child } from '../bench/child.ts'

const EMAIL = 'ada@example.com'
const AUDIENCE = 'https://api.example.com'

/**
 * Seconds from publishing a key to signing with it: longer than any of these libraries waits before it fetches the JWKS
 * again (60 s).
 */
export const LEAD_SECONDS = 70

/** What a program is told about the issuer, and nothing else: the caller's settings must not leak in. */
export type Environment = Readonly<Record<string, string>>

export interface Issuer {
  readonly url: string
  /** The same server without TLS, on loopback: for what stands in front of it. */
  readonly origin: string
  readonly audience: string
  readonly keysFolder: string
  /** PEM file of the authority that issued its certificate. */
  readonly authority: string
  readonly environment: Environment
  /** @returns an access token of a session of its own */
  logIn(): Promise<string>
  /** The same for a new account. */
  logInAs(email: string): Promise<string>
  logOut(token: string): Promise<void>
  /** Ends every session of the account. */
  logOutEverywhere(token: string): Promise<void>
  feed(): Promise<string>
  /** Publishes the next key; tokens are signed with it {@link LEAD_SECONDS} seconds later. */
  rotate(): Promise<void>
  /** Signs with a new key as soon as the server has it. */
  rotateNow(): Promise<void>
  /** Revokes a key, as after a leak. */
  revokeKey(kid: string): Promise<void>
  /** @param more further options of the script */
  createClient(more?: readonly string[]): Promise<{ id: string; secret: string }>
  disableClient(id: string): Promise<void>
  /** While true, nobody reaches it by its URL. */
  cut(isCut: boolean): void
}

/**
 * Starts the real server, behind TLS as in production: several libraries refuse an issuer without TLS, and no recipe
 * should switch that check off.
 *
 * @param more settings
 */
export async function startIssuer(folder: string, more: Readonly<Record<string, string>> = {}): Promise<Issuer> {
  const authority = join(folder, 'authority.pem')
  const port = await freePort()
  const { url, cut } = await terminateTls(folder, authority, port)
  const settings = {
    ISSUER: url,
    AUDIENCE,
    PORT: String(port),
    KEYS_DIR: join(folder, 'keys'),
    DATABASE_URL: `sqlite:${join(folder, 'data', 'signet.db')}`,
    JWKS_MAX_AGE: '60',
    LOG_LEVEL: 'silent',
    ...more,
  }
  const server = new Child({ args: ['src/server.ts'], env: settings })
  const origin = `http://127.0.0.1:${port}`
  await ready(server, origin)
  await register({ url: origin }, EMAIL)

  const script = (args: readonly string[]) => runScript(args, settings)
  return {
    url,
    origin,
    audience: AUDIENCE,
    keysFolder: settings.KEYS_DIR,
    authority,
    environment: environmentOf(url, authority),
    logIn: async () => (await login({ url: origin }, EMAIL)).access,
    async logInAs(email) {
      await register({ url: origin }, email)
      return (await login({ url: origin }, email)).access
    },
    logOut: (access) => logout({ url: origin }, { access }),
    async logOutEverywhere(access) {
      const reply = await post(`${origin}/v1/logout`, { scope: 'all' }, { authorization: `Bearer ${access}` })
      if (reply.status !== 204) throw new OperatorError(`logout of all sessions: ${reply.status}`)
    },
    feed: async () => (await fetch(`${origin}/.well-known/revocations`)).text(),
    rotate: async () => void (await script(['scripts/keys.ts', 'rotate', '--lead', `${LEAD_SECONDS}s`])),
    rotateNow: async () => void (await script(['scripts/keys.ts', 'rotate', '--now'])),
    revokeKey: async (kid) => void (await script(['scripts/keys.ts', 'revoke', kid])),
    async createClient(more = []) {
      const create = ['scripts/clients.ts', 'create', '--name', 'interop', '--scope', 'invoices:read', '--json']
      const made = JSON.parse(await script([...create, ...more]))
      return { id: made.client_id, secret: made.client_secret }
    },
    disableClient: async (id) => void (await script(['scripts/clients.ts', 'disable', id])),
    cut,
  }
}

function environmentOf(issuer: string, authority: string): Environment {
  const { PATH = '', HOME = '' } = process.env
  return {
    PATH,
    HOME,
    LANG: 'C.UTF-8',
    PYTHONDONTWRITEBYTECODE: '1',
    ISSUER: issuer,
    AUDIENCE,
    // Each ecosystem reads the trusted authorities from another variable.
    SSL_CERT_FILE: authority,
    CURL_CA_BUNDLE: authority,
    REQUESTS_CA_BUNDLE: authority,
    NODE_EXTRA_CA_CERTS: authority,
  }
}

/** @returns the https origin of a proxy that forwards every connection to `port`, and what ends and refuses them */
async function terminateTls(folder: string, authority: string, port: number) {
  const { key, cert } = await makeCertificate(folder, authority)
  const sockets = new Set<Socket>()
  let isCut = false
  const server = createServer({ key, cert }, (socket) => {
    if (isCut) return void socket.destroy()
    sockets.add(socket.once('close', () => sockets.delete(socket)))
    const inner = connect(port, '127.0.0.1')
    socket.pipe(inner).pipe(socket)
    socket.once('error', () => inner.destroy()).once('close', () => inner.destroy())
    inner.once('error', () => socket.destroy())
  })
  await once(server.listen(0, '127.0.0.1').unref(), 'listening')
  const cut = (now: boolean) => {
    isCut = now
    if (now) for (const socket of sockets) socket.destroy()
  }
  return { url: `https://localhost:${(server.address() as AddressInfo).port}`, cut }
}

/** Of an authority of its own: Deno accepts no certificate that is its own authority. */
async function makeCertificate(folder: string, authority: string): Promise<{ key: Buffer; cert: Buffer }> {
  const pem = (name: string) => join(folder, `${name}.pem`)
  const make = (name: string, out: string, ...args: readonly string[]) => {
    const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const all = [
      'req',
      '-x509',
      ...ec,
      '-days',
      '1',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      pem(`${name}-key`),
      '-out',
      out,
    ]
    return promisify(execFile)('openssl', [...all, ...args])
  }
  await make('authority', authority)
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  const by = ['-CA', authority, '-CAkey', pem('authority-key')]
  await make('localhost', pem('localhost'), ...by, '-addext', names, '-addext', 'basicConstraints=critical,CA:FALSE')
  return { key: await readFile(pem('localhost-key')), cert: await readFile(pem('localhost')) }
}

async function ready(server: Child, origin: string): Promise<void> {
  const answers = () =>
    fetch(`${origin}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  while (!(await answers())) {
    server.assertRunning()
    await sleep(50)
  }
}

async function runScript(args: readonly string[], settings: Record<string, string>): Promise<string> {
  const preload = ['--import', './src/require-node.js']
  const env = { PATH: process.env.PATH, ...settings }
  return (await promisify(execFile)(process.execPath, [...preload, ...args], { env })).stdout
}
