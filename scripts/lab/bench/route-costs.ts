import { OperatorError } from '../../../src/errors/app-error.ts'
import { makeRunFolder } from '../run-folder.ts'
import { Child } from './child.ts'
import { makeHome, serverKeys, settings, startSignet } from './server-process.ts'
import { takesNoOptions } from './takes-no-options.ts'

// How much processor time of the server does one request of each route take? All its threads count: hashing, signing
// and SQLite have their own. A real server without limits, one request at a time. Takes half a minute.

takesNoOptions('bench:routes: the processor time of one request of each kind of route. Takes half a minute.')

const PASSWORD = 'correct horse battery staple'
const FORM = 'application/x-www-form-urlencoded'
/** The clock of the kernel counts in hundredths of a second: cheap requests are sent until that is enough. */
const LEAST_SECONDS = 0.5
const MOST_TIMES = 4000
const BATCH = 20

const folder = makeRunFolder('routes')

const bench = { rounds: 1, seconds: 1, folder, cores: undefined }
const home = await makeHome(bench)
const client = await makeClient()
const server = await startSignet(bench, home)
let count = 0
try {
  await register()
  await show('POST /v1/accounts', register)
  await show('POST /v1/login', logIn)
  let tokens = await logIn() // after those, which end each other
  const bearer = { authorization: `Bearer ${tokens.access_token}` }
  const basic = { authorization: `Basic ${Buffer.from(client).toString('base64')}` }
  const passwords = { current_password: PASSWORD, new_password: 'short' }
  await show('PUT /v1/me/password, refused', () => send('PUT', '/v1/me/password', passwords, bearer, 422))
  await show('POST /v1/refresh', async () => {
    tokens = await json('POST', '/v1/refresh', { refresh_token: tokens.refresh_token })
  })
  await show('POST /oauth/token', () => send('POST', '/oauth/token', 'grant_type=client_credentials', basic))
  await show('POST /oauth/introspect', () => send('POST', '/oauth/introspect', `token=${tokens.access_token}`, basic))
  await show('POST /oauth/revoke, no token', () => send('POST', '/oauth/revoke', 'token=nothing', basic))
  await show('GET /v1/sessions', () => send('GET', '/v1/sessions', undefined, bearer))
  await show('DELETE /v1/sessions/:id, none', () => send('DELETE', '/v1/sessions/none', undefined, bearer, 404))
  await show('GET /v1/me', () => send('GET', '/v1/me', undefined, bearer))
  const open = ['/health/ready', '/health/live', '/.well-known/jwks.json', '/.well-known/revocations', '/openapi.json']
  for (const path of open) await show(`GET ${path}`, () => send('GET', path))
  const asks = { origin: 'https://elsewhere.example', 'access-control-request-method': 'GET' }
  const preflight = '/.well-known/jwks.json'
  await show(`OPTIONS ${preflight}`, () => send('OPTIONS', preflight, undefined, asks, 204))
} finally {
  await server.child.stop()
}

async function show(name: string, once: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < BATCH; i += 1) await once() // warms up
  const before = seconds()
  let times = 0
  while (times < MOST_TIMES && seconds() - before < LEAST_SECONDS) {
    for (let i = 0; i < BATCH; i += 1) await once()
    times += BATCH
  }
  console.log(`${name.padEnd(36)} ${(((seconds() - before) * 1000) / times).toFixed(2)} ms`)
}

function seconds(): number {
  const used = server.child.cpuSeconds()
  if (used === undefined) throw new OperatorError('processor time is read from /proc, and this system has none')
  return used
}

function register() {
  count += 1
  return send('POST', '/v1/accounts', { email: `a${count}@example.com`, password: PASSWORD }, {}, 201)
}

function logIn() {
  return json('POST', '/v1/login', { email: 'a1@example.com', password: PASSWORD })
}

async function json(method: string, path: string, body: object) {
  return (await (await send(method, path, body)).json()) as { access_token: string; refresh_token: string }
}

async function send(method: string, path: string, body?: object | string, headers = {}, status = 200) {
  const type = body && { 'content-type': typeof body === 'string' ? FORM : 'application/json' }
  const reply = await fetch(`${server.origin}${path}`, {
    method,
    headers: { ...headers, ...type },
    ...(body && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  if (reply.status !== status) throw new OperatorError(`${method} ${path} answered ${reply.status}`)
  const copy = reply.clone()
  await reply.arrayBuffer()
  return copy
}

/** @returns id and secret as Basic wants them */
async function makeClient(): Promise<string> {
  const args = ['scripts/clients.ts', 'create', '--name', 'bench', '--audience', 'bench']
  const made = new Child({ args, env: { ...settings(home), KEYS_DIR: serverKeys(home).dir }, keepOutput: true })
  const output = await made.finished()
  const [, id] = /client_id\s+(client_\S+)/.exec(output) ?? []
  const [, secret] = /(scs_[\w-]+)/.exec(output) ?? []
  if (id === undefined || secret === undefined) throw new OperatorError(`no client in: ${output}`)
  return `${id}:${secret}`
}
