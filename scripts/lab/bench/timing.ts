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
import { makeHome, startSignet } from './server-process.ts'
import { takesNoOptions } from './takes-no-options.ts'

// Does the response time reveal who has an account, or which client exists? A thousand attempts of each kind, one at a
// time, in random order, over one connection to a real server without limits. Takes two minutes.

const TRIES = 1000
const NAMES = 10

interface Try {
  readonly url: string
  readonly type: string
  readonly body: string
  readonly status: number
}

takesNoOptions('usage: npm run bench:timing\n\nDo response times reveal who has an account? Takes two minutes.')

const folder = makeRunFolder('timing')

const ms = (value: number) => `${value.toFixed(3)} ms`
const address = () => `${randomBytes(9).toString('hex')}@example.com`
const password = () => randomBytes(18).toString('base64url')

const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const home = await makeHome({ rounds: 1, seconds: 1, folder, cores: undefined })
const clientIds = await makeClients(home)
const server = await startSignet({ rounds: 1, seconds: 1, folder, cores: undefined }, home)
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
  agent.destroy()
  await server.child.stop()
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
  if (told && name === 'login') process.exitCode = 1
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
function timed({ url, type, body, status }: Try): Promise<number> {
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
