import { randomBytes, randomInt } from 'node:crypto'
import { Agent, request } from 'node:http'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { NOTE_NOTHING } from '../../../src/administration/note-refusal.ts'
import { createAdministerClients } from '../../../src/clients/administer-clients.ts'
import { createClientStore } from '../../../src/clients/client-store.ts'
import { systemClock } from '../../../src/clock.ts'
import { loadConfig } from '../../../src/config/config.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { makeRunFolder } from '../run-folder.ts'
import { difference, mean, quantile } from './difference.ts'
import { makeHome, settings, startSignet } from './server-process.ts'
import { takesNoOptions } from './takes-no-options.ts'

// Does the response time reveal who has an account, or which client exists? A thousand attempts of each kind, one at a
// time, in random order, over one connection to a real server without limits. Takes five minutes.

const TRIES = 1000
const NAMES = 10

interface Try {
  readonly url: string
  readonly type: string
  /** A function for what can be sent once. */
  readonly body: string | (() => string)
  readonly status: number
}

takesNoOptions('usage: npm run bench:timing\n\nDo response times reveal who has an account? Takes five minutes.')

const folder = makeRunFolder('timing')

const ms = (value: number) => `${value.toFixed(3)} ms`
const address = () => `${randomBytes(9).toString('hex')}@example.com`
const password = () => randomBytes(18).toString('base64url')

const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const home = await makeHome({ rounds: 1, seconds: 1, folder, cores: undefined })
const clientIds = await makeClients(home)
const bench = { rounds: 1, seconds: 1, folder, cores: undefined }
const server = await startSignet(bench, home)
try {
  console.log(
    `${availableParallelism()} cores, Node.js ${process.versions.node}, load average ${loadavg()[0]?.toFixed(2)}`,
  )
  const known = await makeAccounts(server.origin)
  const unknown = known.map(() => address())
  await compare('login', ['known email, wrong password', known.map(loginOf)], ['unknown email', unknown.map(loginOf)])
  const strangers = clientIds.map(() => `client_${randomBytes(16).toString('base64url')}`)
  await compare(
    'client',
    ['known client, wrong secret', clientIds.map(tokenOf)],
    ['unknown client', strangers.map(tokenOf)],
  )
} finally {
  await server.child.stop()
}

// The same server with REGISTRATION=verified, which sends messages: into a folder.
const mail = { REGISTRATION: 'verified', MAIL_URL: `file:${join(home, 'outbox')}`, APP_URL: 'https://app.example.com' }
const verified = await startSignet(bench, home, { env: { ...settings(home), ...mail } })
try {
  const { origin } = verified
  const unknown = Array.from({ length: NAMES }, address)
  const { confirmed, waiting } = await makeRecoverable(origin)
  const recover = to(`${origin}/v1/recovery`, 202, (email) => ({ email }))
  await compare('recovery', ['known address', confirmed.map(recover)], ['unknown address', unknown.map(recover)])
  const code = to(`${origin}/v1/recovery/confirm`, 400, (email) => ({
    email,
    code: '22222222',
    new_password: password(),
  }))
  await compare('code', ['address with a code', waiting.map(code)], ['unknown address', unknown.map(code)])
  const register = to(`${origin}/v1/accounts`, 202, (email) => ({ email, password: password() }))
  const free = unknown.map(() => ({ ...register(''), body: () => String(register(address()).body) }))
  await compare('registration', ['taken address', confirmed.map(register)], ['free address', free])
  const login = to(`${origin}/v1/login`, 401, (email) => ({ email, password: password() }))
  await compare('login', ['unverified, wrong password', waiting.map(login)], ['unknown email', unknown.map(login)])
} finally {
  agent.destroy()
  await verified.child.stop()
}

async function compare(name: string, [nameA, a]: [string, Try[]], [nameB, b]: [string, Try[]]): Promise<void> {
  const times: [number[], number[]] = [[], []]
  for (const attempt of [...a, ...b]) await timed(attempt) // warms up
  for (const side of shuffled([...Array(TRIES).fill(0), ...Array(TRIES).fill(1)]) as (0 | 1)[]) {
    const choice = (side === 0 ? a : b)[randomInt(NAMES)]
    if (choice !== undefined) times[side].push(await timed(choice))
  }
  for (const [label, values] of [
    [nameA, times[0]],
    [nameB, times[1]],
  ] as const) {
    const sorted = values.toSorted((x, y) => x - y)
    const shown = [quantile(sorted, 0.05), quantile(sorted, 0.5), quantile(sorted, 0.95), mean(values)].map(ms)
    console.log(
      `${name}: ${label}: ${values.length} tries, ` +
        `5 % ${shown[0]}, median ${shown[1]}, 95 % ${shown[2]}, mean ${shown[3]}`,
    )
  }
  const found = difference(...times)
  console.log(
    `${name}: means differ by ${ms(found.means)}, medians by ${ms(found.medians)}, ` +
      `quantiles (5..95 %) by at most ${ms(found.quantiles)}\n` +
      `${name}: Welch t ${found.t.toFixed(2)}, p ${found.tProbability.toFixed(3)} | ` +
      `Mann-Whitney ${found.above.toFixed(3)} above, p ${found.uProbability.toFixed(3)}`,
  )
  const told = found.tProbability < 0.001 || found.uProbability < 0.001
  console.log(`${name}: ${told ? 'CAN BE TOLD APART' : 'can not be told apart'} (p < 0.001 in either test)\n`)
  // Who has an account is a secret. A client_id is not; only how close a guessed secret is must not show.
  if (told && name !== 'client') process.exitCode = 1
}

function to(url: string, status: number, body: (email: string) => object) {
  return (email: string): Try => ({ url, type: 'application/json', body: JSON.stringify(body(email)), status })
}

/** Accounts that work, and others that wait for their confirmation and have a code that is never used up. */
async function makeRecoverable(origin: string): Promise<{ confirmed: string[]; waiting: string[] }> {
  const emails = Array.from({ length: 2 * NAMES }, address)
  const register = to(`${origin}/v1/accounts`, 202, (email) => ({ email, password: password() }))
  for (const email of emails) await timed(register(email))
  const [confirmed, waiting] = [emails.slice(0, NAMES), emails.slice(NAMES)]
  const database = await openDatabase(loadConfig({ env: { DATABASE_URL: `sqlite:${join(home, 'signet.db')}` } }))
  for (const email of confirmed)
    await database.query('UPDATE accounts SET awaits_confirmation = 0 WHERE email = $1', [email])
  const [id, expiresAt] = [() => randomBytes(16).toString('hex'), systemClock() + 86_400]
  for (const email of waiting)
    await database.query(
      `INSERT INTO one_time_tokens
         (id, purpose, account_id, email, bound_to, token_hash, code_hash, tries, created_at, expires_at)
       SELECT $1, 'recovery', id, email, 'x', $1, 'x', -1000000, $2, $2 FROM accounts WHERE email = $3`,
      [id(), expiresAt, email],
    )
  await database.close()
  return { confirmed, waiting }
}

function loginOf(email: string): Try {
  const body = JSON.stringify({ email, password: password() })
  return { url: `${server.origin}/v1/login`, type: 'application/json', body, status: 401 }
}

function tokenOf(id: string): Try {
  const secret = `scs_${randomBytes(32).toString('base64url')}`
  const body = `grant_type=client_credentials&client_id=${id}&client_secret=${secret}`
  return { url: `${server.origin}/oauth/token`, type: 'application/x-www-form-urlencoded', body, status: 401 }
}

/** Milliseconds from the first byte sent to the last received. */
function timed({ url, type, body: given, status }: Try): Promise<number> {
  const body = typeof given === 'string' ? given : given()
  return new Promise((resolve, reject) => {
    const started = performance.now()
    const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body) }
    const sent = request(url, { method: 'POST', agent, headers }, (reply) => {
      reply.resume().once('end', () => {
        const time = performance.now() - started
        if (reply.statusCode === status) resolve(time)
        else reject(new OperatorError(`${url} answered ${reply.statusCode}`))
      })
    })
    sent.once('error', reject).end(body)
  })
}

async function makeAccounts(origin: string): Promise<string[]> {
  const emails = Array.from({ length: NAMES }, address)
  for (const email of emails) {
    const body = JSON.stringify({ email, password: password() })
    await timed({ url: `${origin}/v1/accounts`, type: 'application/json', body, status: 201 })
  }
  return emails
}

async function makeClients(home: string): Promise<string[]> {
  const database = await openDatabase(loadConfig({ env: { DATABASE_URL: `sqlite:${join(home, 'signet.db')}` } }))
  await migrate(database, systemClock)
  const parts = { audience: [], noteRefusal: NOTE_NOTHING, revocationsApplied: async () => undefined, now: systemClock }
  const administer = createAdministerClients({ clients: createClientStore(database), ...parts })
  const by = { actorId: undefined, source: { ip: null, userAgent: null, requestId: null } }
  const ids: string[] = []
  for (let i = 0; i < NAMES; i += 1) ids.push((await administer.create({ name: `client ${i}` }, by)).client.id)
  await database.close()
  return ids
}

function shuffled<T>(values: T[]): T[] {
  for (let i = values.length - 1; i > 0; i -= 1) {
    const j = randomInt(i + 1)
    ;[values[i], values[j]] = [values[j] as T, values[i] as T]
  }
  return values
}
