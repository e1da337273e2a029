import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { bearer } from '../../support/app.ts'
import { crashPostgres, postgresUrl, startPostgres, stopPostgres } from '../../support/postgres.ts'
import {
  login,
  logout,
  postLogin,
  postRefresh,
  register,
  type ServerProcess,
  sharedSettings,
  type Tokens,
  tokensOf,
  twoNodes,
  verdict,
} from '../../support/service.ts'
import { summary } from './measure.ts'

// PostgreSQL goes away under load and comes back. Nobody who holds a token notices; who asks for one is told at once
// to come again.

const CLIENTS = 8
const EMAIL = 'ada@example.com'

interface Load {
  running: boolean
  /** Verified requests that were answered 200, and what else they were answered. */
  verified: number
  readonly failures: string[]
  /** Answers to refreshes and logins: status, and milliseconds it took. */
  readonly issuing: { status: number; ms: number }[]
  readonly withoutRetryAfter: string[]
}

/** Clients stop only between two requests, never within one. */
async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await pause(10)
}

const WAYS: [name: string, goAway: () => Promise<void>][] = [
  ['stopped', stopPostgres],
  ['killed', crashPostgres],
]
t.test('two servers on PostgreSQL', async (t) => {
  const env = await sharedSettings(t, {
    DATABASE_URL: await postgresUrl(t),
    REFRESH_GRACE: '60',
    MAX_SESSIONS_PER_ACCOUNT: '1000',
  })
  const nodes = await twoNodes(t, env)
  await register(nodes[0], EMAIL)
  for (const [name, goAway] of WAYS) {
    await t.test(
      `with PostgreSQL ${name} under load, verified routes go on, issuing answers 503, and all of it heals`,
      (t) => goesAndComesBack(t, nodes, goAway),
    )
  }
})

async function goesAndComesBack(
  t: Test,
  [node, other]: readonly [ServerProcess, ServerProcess],
  goAway: () => Promise<void>,
): Promise<void> {
  const clients: { tokens: Tokens }[] = []
  for (let i = 0; i < CLIENTS; i += 1) clients.push({ tokens: await login(node, EMAIL) })

  const load: Load = { running: true, verified: 0, failures: [], issuing: [], withoutRetryAfter: [] }
  const workers = [
    ...clients.map((client) => keepRefreshing(node, client, load)),
    keepLoggingIn(node, load),
    ...[node, other].map((one) => keepVerifying(one, clients, load)),
  ]
  await until(() => load.issuing.length > 50)
  await goAway()
  await outage(t, node, load)

  await startPostgres()
  await healed(t, [node, other], load)
  load.running = false
  await Promise.all(workers)
  t.same(load.failures, [], 'no verified request ever failed')
  t.same(load.withoutRetryAfter, [])
  t.same([...new Set(load.issuing.map(({ status }) => status))].sort(), [200, 503], 'nobody was logged out')

  for (const { tokens } of clients) await logout(node, tokens)
  for (const { tokens } of clients) await until(async () => (await verdict(other, tokens)) === 'invalid_token')
  t.pass('revocations travel again')
}

/**
 * While the store is away: verified requests go on, and every request that needs the store is answered all the same.
 */
async function outage(t: Test, node: ServerProcess, load: Load): Promise<void> {
  const began = { verified: load.verified, issuing: load.issuing.length }
  await until(() => load.issuing.slice(began.issuing).filter(({ status }) => status === 503).length > 60)
  await until(() => load.verified > began.verified + 100)
  const ready = await fetch(`${node.url}/health/ready`)
  t.equal(ready.status, 503)
  t.match(await ready.json(), { status: 'failed', checks: { store: 'failed', keyring: 'ok' } })
  t.equal((await fetch(`${node.url}/health/live`)).status, 200)
  const during = load.issuing.slice(began.issuing).filter(({ status }) => status === 503)
  t.comment(
    `${load.verified - began.verified} verified requests went on; 503 after ${summary(during.map(({ ms }) => ms))}`,
  )
}

async function healed(t: Test, nodes: readonly ServerProcess[], load: Load): Promise<void> {
  const started = performance.now()
  const before = load.issuing.length
  await until(() => load.issuing.slice(before).filter(({ status }) => status === 200).length > 20)
  for (const { url } of nodes) await until(async () => (await fetch(`${url}/health/ready`)).status === 200)
  t.comment(`healed ${Math.round(performance.now() - started)} ms after PostgreSQL took connections again`)
}

async function keepRefreshing(node: ServerProcess, client: { tokens: Tokens }, load: Load): Promise<void> {
  while (load.running) {
    const reply = await timed(() => postRefresh(node, client.tokens), load)
    if (reply.status === 200) client.tokens = await tokensOf(reply)
    await pause(20)
  }
}

async function keepLoggingIn(node: ServerProcess, load: Load): Promise<void> {
  while (load.running) {
    await timed(() => postLogin(node, EMAIL), load)
    await pause(200)
  }
}

async function timed(send: () => Promise<Response>, { issuing, withoutRetryAfter }: Load): Promise<Response> {
  const began = performance.now()
  const reply = await send()
  issuing.push({ status: reply.status, ms: performance.now() - began })
  if (reply.status === 503 && !/^\d+$/.test(reply.headers.get('retry-after') ?? '')) withoutRetryAfter.push(reply.url)
  return reply
}

async function keepVerifying(
  { url }: ServerProcess,
  clients: readonly { tokens: Tokens }[],
  load: Load,
): Promise<void> {
  for (let turn = 0; load.running; turn += 1) {
    const token = clients[turn % clients.length]?.tokens.access ?? ''
    const { status } = await fetch(`${url}/v1/me`, { headers: bearer(token) })
    if (status === 200) load.verified += 1
    else load.failures.push(`${status}`)
    await pause(5)
  }
}
