import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { startIssuer } from './issuer.ts'
import { debianVersion, HERE } from './program.ts'
import { start } from './verifiers.ts'

const RECIPES = join(HERE, '../../deploy/nginx')
const POLLS = 10
/** nginx writes its log after the answer. */
const LOGGED_MS = 200
/** Keys and the whole feed are kept for a second. nginx counts whole ones, so it may be two. */
const KEPT_MS = 2100
/** From the answer of a logout to the last poll: nginx looks at its locks every half second. */
const MOST_DELAY_MS = 2000
/** A client of another address than nginx's own, and the address that it claims. */
const CLIENT = '127.0.0.5'
const CLAIMED = '203.0.113.9'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}
type Ask = (path: string, options?: { headers?: Record<string, string>; body?: object }) => Promise<Answer>

/**
 * The files of scripts/deploy/nginx/ as they are, but for names, ports and folders: Signet with a host of its own, and
 * below a path.
 *
 * @returns a line for the report
 * @throws OperatorError when something is not as the page says
 */
export async function behindPublicNginx(folder: string): Promise<string> {
  const version = debianVersion('nginx')
  if (version === undefined) return 'left out: the nginx of scripts/deploy (apt-get install nginx-light)'
  const own = mkdtempSync(join(folder, 'deploy-'))
  mkdirSync(join(own, 'data'))
  const [plain, host, path] = [await freePort(), await freePort(), await freePort()]
  const issuer = await startIssuer(own, { ISSUER: `https://localhost:${path}/auth`, TRUST_PROXY: 'loopback' })
  const asked = await startNginx(own, { plain, host, path, signet: new URL(issuer.origin).host })
  const ca = readFileSync(issuer.authority)
  const ways = { 'a host of its own': asker(host, '', ca), 'a path': asker(path, '/auth', ca) }
  const redirect = await fetch(`http://127.0.0.1:${plain}/v1/me?a=b`, { redirect: 'manual' })
  must(redirect.status === 308 && /^https:.*\/v1\/me\?a=b$/.test(redirect.headers.get('location') ?? ''), 'no redirect')
  for (const [name, ask] of Object.entries(ways)) {
    await keepsTheAddress(ask, name)
    await keepsKeysForASecond(ask, name, asked)
  }
  const top = asker(path, '', ca)
  for (const document of ['oauth-authorization-server', 'oauth-protected-resource'])
    must((await top(`/.well-known/${document}/auth`)).status === 200, `${document} is not at the top of the host`)
  must((await top('/v1/me')).status === 404, 'Signet is reached outside of its path')
  const delays: number[] = []
  for (const [name, ask] of Object.entries(ways)) delays.push(await joinsPolls(ask, name, asked))
  await Promise.all(Object.entries(ways).map(([name, ask]) => waitsOut(ask, name)))
  return (
    `scripts/deploy behind nginx ${version}: forged addresses are replaced, the JWKS is kept for a second or two; ` +
    `${POLLS} polls are one, answered ${delays.map((delay) => Math.round(delay)).join(' and ')} ms after the logout; ` +
    'a poll of 30 seconds is answered'
  )
}

function must(is: boolean, fault: string): void {
  if (!is) throw new OperatorError(`behind the nginx of scripts/deploy: ${fault}`)
}

interface Ports {
  readonly plain: number
  readonly host: number
  readonly path: number
  /** Host and port of the server. */
  readonly signet: string
}

/** @returns how often nginx asked Signet for an address that contains the text */
async function startNginx(own: string, { plain, host, path, signet }: Ports): Promise<(text: string) => number> {
  for (const file of ['http', 'proxy', 'host', 'path']) {
    const recipe = readFileSync(join(RECIPES, `signet-${file}.conf`), 'utf8')
      .replaceAll('/etc/nginx/signet/', `${own}/`)
      .replace('/var/cache/nginx/signet', join(own, 'cache'))
      .replace('127.0.0.1:3000', signet)
      .replace('listen 80;', `listen 127.0.0.1:${plain};`)
      .replace('listen 443 ssl', `listen 127.0.0.1:${host} ssl`)
      .replace('/etc/nginx/tls/auth.example.com.pem', join(own, 'localhost.pem'))
      .replace('/etc/nginx/tls/auth.example.com.key', join(own, 'localhost-key.pem'))
      .replaceAll('auth.example.com', 'localhost')
    writeFileSync(join(own, `signet-${file}.conf`), recipe)
  }
  const tls = `ssl_certificate ${own}/localhost.pem; ssl_certificate_key ${own}/localhost-key.pem;`
  const other = `server { listen 127.0.0.1:${path} ssl; ${tls} include ${own}/signet-path.conf; }`
  const around = readFileSync(join(HERE, 'nginx/nginx.conf'), 'utf8')
    .replaceAll('FOLDER', own)
    .replace(/include \S+;/, `include ${own}/signet-http.conf; include ${own}/signet-host.conf; ${other}`)
  writeFileSync(join(own, 'nginx.conf'), around)
  const args = ['-p', own, '-c', join(own, 'nginx.conf')]
  const { child, complaint } = start({ program: 'nginx', args, env: { PATH: '/usr/sbin:/usr/bin:/bin' } })
  while (!(await fetch(`http://127.0.0.1:${plain}`, { redirect: 'manual' }).catch(() => undefined))) {
    if (child.exitCode !== null) throw new OperatorError(`nginx does not start: ${complaint()}`)
    await sleep(50)
  }
  return (text) =>
    readFileSync(join(own, 'access.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes(text) && !line.includes(' "-" ')).length
}

/** Asks as a client with an address of its own, which claims another one. */
function asker(port: number, prefix: string, ca: Buffer): Ask {
  return (path, { headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const forged = { 'x-forwarded-for': CLAIMED, forwarded: `for=${CLAIMED}`, 'x-real-ip': CLAIMED }
      const json = body === undefined ? {} : { 'content-type': 'application/json' }
      const options = { host: 'localhost', port, path: `${prefix}${path}`, ca, localAddress: CLIENT, family: 4 }
      const method = body === undefined ? 'GET' : 'POST'
      request({ ...options, agent: false, method, headers: { ...forged, ...json, ...headers } }, async (reply) => {
        const parts: Buffer[] = []
        for await (const part of reply) parts.push(part)
        resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(parts).toString() })
      })
        .once('error', reject)
        .end(body === undefined ? undefined : JSON.stringify(body))
    })
}

async function logIn(ask: Ask, name: string): Promise<Record<string, string>> {
  const body = { email: `${name.replaceAll(' ', '-')}@example.com`, password: 'correct horse battery staple nine' }
  await ask('/v1/accounts', { body })
  const { status, body: text } = await ask('/v1/login', { body })
  must(status === 200, `${name}: a login is answered with ${status}`)
  return { authorization: `Bearer ${JSON.parse(text).access_token}` }
}

async function keepsTheAddress(ask: Ask, name: string): Promise<void> {
  const { body } = await ask('/v1/sessions', { headers: await logIn(ask, name) })
  must(body.includes(`"${CLIENT}"`), `${name}: the session does not have the client's address: ${body}`)
  must(!body.includes(CLAIMED), `${name}: a client chooses its address`)
}

async function keepsKeysForASecond(ask: Ask, name: string, asked: (text: string) => number): Promise<void> {
  const jwks = '/.well-known/jwks.json'
  const before = asked(jwks)
  const began = performance.now()
  const first = await ask(jwks)
  for (let i = 0; i < 20; i += 1) must((await ask(jwks)).status === 200, `${name}: no JWKS`)
  const again = await ask(jwks, { headers: { 'if-none-match': first.headers.etag ?? '' } })
  must(again.status === 304, `${name}: an ETag of the JWKS is answered with ${again.status}`)
  const most = 2 + Math.floor((performance.now() - began) / 1000)
  must(asked(jwks) - before <= most, `${name}: the JWKS is not cached`)
  await sleep(KEPT_MS)
  const kept = asked(jwks)
  await ask(jwks)
  await sleep(LOGGED_MS)
  must(asked(jwks) === kept + 1, `${name}: the JWKS is kept for too long`)
}

async function poll(ask: Ask, name: string, after: string, wait: number): Promise<{ cursor: string; at: number }> {
  const reply = await ask(`/.well-known/revocations?after=${after}&wait=${wait}`)
  must(reply.status === 200, `${name}: a poll is answered with ${reply.status}`)
  const [, claims = ''] = reply.body.trimEnd().split('\n').at(-1)?.split('.') ?? []
  return { cursor: JSON.parse(Buffer.from(claims, 'base64url').toString()).cursor, at: performance.now() }
}

/** @returns milliseconds from the answer of a logout to the last poll */
async function joinsPolls(ask: Ask, name: string, asked: (text: string) => number): Promise<number> {
  const headers = await logIn(ask, name)
  await sleep(KEPT_MS)
  const { cursor } = await poll(ask, name, '0', 0)
  const polls = Array.from({ length: POLLS }, () => poll(ask, name, cursor, 25))
  await sleep(500)
  must((await ask('/v1/logout', { headers, body: {} })).status === 204, `${name}: no logout`)
  const answered = performance.now()
  const ends = await Promise.all(polls)
  const delay = Math.max(...ends.map(({ at }) => at)) - answered
  must(delay <= MOST_DELAY_MS, `${name}: a poll has the logout after ${delay} ms`)
  await sleep(LOGGED_MS)
  must(asked(`after=${cursor}&wait=25`) === 1, `${name}: equal polls are asked more than once`)
  return delay
}

/** Nothing is revoked, so the longest poll is answered at its end. */
async function waitsOut(ask: Ask, name: string): Promise<void> {
  await sleep(KEPT_MS)
  const { cursor, at } = await poll(ask, name, '0', 0)
  const end = await poll(ask, name, cursor, 30)
  must(end.at - at > 29_000, `${name}: a quiet poll ended after ${end.at - at} ms`)
}
