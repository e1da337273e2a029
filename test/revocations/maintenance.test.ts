import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { type AuditStore, createAuditStore } from '../../src/audit/audit-store.ts'
import { createClientStore } from '../../src/clients/client-store.ts'
import type { App } from '../../src/http/app-type.ts'
import { registerMaintenance } from '../../src/maintenance.ts'
import { createOutboxUpkeep } from '../../src/messages/outbox-upkeep-store.ts'
import { mintOneTimeToken } from '../../src/recovery/one-time-token.ts'
import { createOneTimeTokenStore, storeToken } from '../../src/recovery/one-time-token-store.ts'
import { createRevocationStore } from '../../src/revocations/revocation-store.ts'
import { createSessionStore } from '../../src/sessions/session-store.ts'
import { startApp, type TestServer } from '../support/app.ts'
import { logIn, signUp } from '../support/front-door.ts'
import { call, NOBODY } from '../support/people.ts'

const NOW = 1_800_000_000
const DAY = 86_400
const QUARTER = 15 * 60 * 1000 // milliseconds

/** Maintenance of a server's database, with a clock and a timer that the test controls. */
async function maintained(
  t: Test,
  trail?: AuditStore,
): Promise<TestServer & { clock: { now: number }; log: string[] }> {
  const clock = { now: NOW }
  const server = await startApp(t, { now: () => clock.now })
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const log: string[] = []
  const app: App = Fastify({ logger: { stream: { write: (line) => void log.push(line) } } })
  registerMaintenance(app, {
    runsMaintenance: true,
    cache: { sweep: () => undefined },
    skew: 5,
    sessions: createSessionStore(server.database),
    revocationStore: createRevocationStore(server.database),
    clients: createClientStore(server.database),
    auditStore: trail ?? createAuditStore(server.database),
    outbox: createOutboxUpkeep(server.database),
    oneTimeTokens: createOneTimeTokenStore(server.database),
    retention: DAY,
    now: () => clock.now,
  })
  t.teardown(() => app.close())
  return { ...server, clock, log }
}

/** One run of maintenance is a few deletions in a row. These reads wait behind them. */
async function turnOver({ database }: TestServer): Promise<void> {
  for (const _ of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) await database.query('SELECT 1 AS one')
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await turn()
}

t.test('audit rows older than the setting says are deleted, every quarter of an hour', async (t) => {
  const { database, clock } = await maintained(t)
  const trail = createAuditStore(database)
  for (const age of [0, DAY - 1, DAY, DAY + 1, 10 * DAY])
    await trail.insert({ event: 'login_failed', source: NOBODY, detail: { age } }, NOW - age)
  const kept = async () =>
    (await database.query('SELECT detail FROM audit_events ORDER BY at DESC')).map(
      ({ detail }) => JSON.parse(String(detail)).age,
    )
  mock.timers.tick(QUARTER - 1)
  t.same(await kept(), [0, DAY - 1, DAY, DAY + 1, 10 * DAY])
  mock.timers.tick(1)
  await until(async () => (await kept()).length <= 3)
  t.same(await kept(), [0, DAY - 1, DAY])
  clock.now += DAY
  mock.timers.tick(QUARTER)
  await until(async () => (await kept()).length <= 1)
  t.same(await kept(), [0])
})

t.test('sessions that are over stay for a day, live ones for as long as they live', async (t) => {
  const server = await maintained(t)
  const { app, database, clock } = server
  const person = await signUp(app)
  const kept = await logIn(app, person.email)
  await call(app, person.access_token, 'POST', '/v1/logout', {})
  const sessions = async () => (await database.query('SELECT ended_at FROM sessions')).length
  const pass = async (seconds: number) => {
    clock.now += seconds
    mock.timers.tick(QUARTER)
    await turnOver(server)
  }
  await pass(DAY)
  t.equal(await sessions(), 2)
  await pass(1)
  await until(async () => (await sessions()) === 1)
  const [{ expires_at: end } = {}] = await database.query('SELECT expires_at FROM sessions')
  await pass(Number(end) + DAY - clock.now)
  t.equal(await sessions(), 1)
  await pass(1)
  await until(async () => (await sessions()) === 0)
  t.ok(kept)
})

t.test('a revocation is kept until no token it could hit is alive, whatever the settings', async (t) => {
  const server = await maintained(t)
  const { app, database, clock } = server
  await call(app, (await signUp(app)).access_token, 'POST', '/v1/logout', {})
  const revocations = async () => (await database.query('SELECT subject FROM revocations')).length
  clock.now += 900 + 2 * 60 - 1
  mock.timers.tick(QUARTER)
  await turnOver(server)
  t.equal(await revocations(), 1)
  clock.now += 1
  mock.timers.tick(QUARTER)
  await until(async () => (await revocations()) === 0)
  t.pass('then it goes')
})

t.test('a store that is away puts maintenance off, with one line in the log, and the next turn does it', async (t) => {
  let away = true
  let pruned = 0
  const prune = async () => {
    if (away) throw new Error('away')
    pruned += 1
  }
  const { log } = await maintained(t, { insert: async () => undefined, prune })
  mock.timers.tick(QUARTER)
  await until(() => log.length > 0)
  t.match(JSON.parse(log[0] ?? ''), { err: { message: 'away' }, msg: /postponed/ })
  away = false
  mock.timers.tick(QUARTER)
  await until(() => pruned > 0)
  t.equal(log.length, 1)
})

t.test('one-time tokens go when they have expired, and the others stay', async (t) => {
  const { app, database, keyring, clock } = await maintained(t)
  const { id: accountId, email } = await signUp(app)
  for (const purpose of ['recovery', 'registration'] as const) {
    const by = { id: purpose, purpose, accountId, email, boundTo: '', keys: keyring.refreshKeys(), now: NOW }
    await database.transaction(storeToken(mintOneTimeToken(by).row))
  }
  const left = async () => (await database.query('SELECT id FROM one_time_tokens ORDER BY id')).map(({ id }) => id)
  clock.now = NOW + 899
  mock.timers.tick(QUARTER)
  await turnOver({ database } as TestServer)
  t.same(await left(), ['recovery', 'registration'])
  clock.now = NOW + 900
  mock.timers.tick(QUARTER)
  await until(async () => (await left()).length === 1)
  t.same(await left(), ['registration'])
})

t.test('an account that nobody confirmed goes after a week, but not while its message may still come', async (t) => {
  const { app, database, keyring, clock } = await maintained(t)
  const { id: confirmed } = await signUp(app)
  const { id: accountId, email } = await signUp(app)
  await database.query('UPDATE accounts SET awaits_confirmation = 1, created_at = $2 WHERE id = $1', [accountId, NOW])
  await database.query('UPDATE accounts SET created_at = $2 WHERE id = $1', [confirmed, NOW])
  const ids = async () => (await database.query('SELECT id FROM accounts')).map(({ id }) => id).sort()
  const both = [confirmed, accountId].sort()
  const later = async (seconds: number) => {
    clock.now = NOW + seconds
    mock.timers.tick(QUARTER)
    await turnOver({ database } as TestServer)
    return ids()
  }
  t.same(await later(7 * DAY - 1), both, 'a second before')
  const by = {
    id: 'late',
    purpose: 'registration',
    accountId,
    email,
    boundTo: '',
    keys: keyring.refreshKeys(),
  } as const
  await database.transaction(storeToken(mintOneTimeToken({ ...by, now: NOW + 7 * DAY }).row))
  t.same(await later(7 * DAY + 1), both, 'a link that still works')
  await database.query(
    `INSERT INTO outbox (id, kind, state, created_at, attempts, next_attempt_at, claimed_until)
     VALUES ('waits', 'registration', 'caused', 0, 0, 0, 0)`,
  )
  t.same(await later(9 * DAY), both, 'a registration that waits for its message')
  await database.query("DELETE FROM outbox WHERE id = 'waits'")
  t.same(await later(9 * DAY + 1), [confirmed])
})
