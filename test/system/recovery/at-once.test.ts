import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import pino from 'pino'
import t, { type Test } from 'tap'
import { buildApp } from '../../../src/app.ts'
import type { App } from '../../../src/http/app-type.ts'
import { PASSWORD, registered, startApp, type TestServer } from '../../support/app.ts'
import { ENGINES, type Engine, openNode } from '../../support/engines.ts'
import { logIn, post, verdict } from '../../support/front-door.ts'
import { mailOf, onlyMail } from '../../support/inbox.ts'
import { call } from '../../support/people.ts'

// The same thing at the same time on two nodes with one database: exactly one wins.

const NOW = 1_800_000_000
const ROUNDS = 4

interface Nodes extends TestServer {
  readonly both: readonly [App, App]
  now(): number
}

async function twoNodes(t: Test, engine: Engine): Promise<Nodes> {
  const url = await engine.url(t)
  const now = () => NOW
  const env = { NOTICES: 'none', DATABASE_URL: url, LOG_LEVEL: 'silent', REGISTRATION: 'verified' }
  const server = await startApp(t, { env, now })
  const { config, keyring } = server
  const database = await openNode(t, url)
  const app = await buildApp({ config, database, keyring, logger: pino({ level: 'silent' }), now })
  t.teardown(() => app.close())
  return { ...server, both: [server.app, app], now }
}

for (const engine of ENGINES) {
  t.test(engine.name, async (t) => {
    const nodes = await twoNodes(t, engine)
    await t.test('a token or code is used once', (t) => used(t, nodes))
    await t.test('wrong codes are counted, whoever asks', (t) => counted(t, nodes))
    await t.test('one of two accounts gets an address', (t) => oneAddress(t, nodes))
    await t.test('an address is one account, and one of its messages confirms it', (t) => oneAccount(t, nodes))
    await t.test('a recovery on one node ends the sessions of the other', (t) => everywhereOut(t, nodes))
    await t.test('two messages to one account leave one good token', (t) => newest(t, nodes))
    if (engine.name === 'postgres')
      await t.test('nobody registers an address in the moment in which it is given up', (t) => givenUp(t, nodes))
  })
}

/** Each request on one node and on the other, all at once. @returns the statuses, in order */
async function everywhere({ both }: Nodes, url: string, payloads: object[]): Promise<number[]> {
  const replies = payloads.flatMap((payload) => both.map((app) => post(app, url, payload)))
  return (await Promise.all(replies)).map(({ statusCode }) => statusCode).toSorted()
}

async function used(t: Test, nodes: Nodes) {
  for (let round = 0; round < ROUNDS; round += 1) {
    const email = `used${round}@example.com`
    await registered(nodes.app, email)
    await post(nodes.app, '/v1/recovery', { email })
    const { token, code } = await onlyMail(nodes)
    const proofs = [{ token }, { email, code }].slice(0, 1 + (round % 2))
    const passwords = ['first horse battery staple', 'second horse battery staple']
    const payloads = proofs.map((proof, n) => ({ ...proof, new_password: passwords[n] }))
    const statuses = await everywhere(nodes, '/v1/recovery/confirm', payloads)
    t.same(statuses, [204, ...Array(statuses.length - 1).fill(400)], `round ${round}`)
    const rows = await nodes.database.query(
      `SELECT e.id FROM audit_events e JOIN accounts a ON a.id = e.account_id
       WHERE a.email = $1 AND e.event = 'password_recovered'`,
      [email],
    )
    t.equal(rows.length, 1)
  }
}

async function counted(t: Test, nodes: Nodes) {
  const email = 'counted@example.com'
  await registered(nodes.app, email)
  await post(nodes.app, '/v1/recovery', { email })
  const { code } = await onlyMail(nodes)
  const wrong = { email, code: code.startsWith('2') ? 'ZZZZZZZZ' : '22222222', new_password: PASSWORD }
  await everywhere(nodes, '/v1/recovery/confirm', Array(10).fill(wrong))
  t.same(await nodes.database.query('SELECT tries FROM one_time_tokens WHERE email = $1', [email]), [{ tries: 10 }])
  t.same(await everywhere(nodes, '/v1/recovery/confirm', [{ ...wrong, code }]), [400, 400])
}

async function oneAddress(t: Test, nodes: Nodes) {
  for (let round = 0; round < ROUNDS; round += 1) {
    const to = `wanted${round}@example.org`
    const people = [`one${round}@example.com`, `two${round}@example.com`]
    const tokens: string[] = []
    for (const email of people) {
      await registered(nodes.app, email)
      const { access_token } = await logIn(nodes.app, email)
      await call(nodes.app, access_token, 'PUT', '/v1/me/email', { new_email: to, password: PASSWORD })
      tokens.push((await onlyMail(nodes)).token)
    }
    const payloads = tokens.map((token) => ({ token }))
    t.same(await everywhere(nodes, '/v1/email/confirm', payloads), [204, 400, 400, 400], `round ${round}`)
    const left = await nodes.database.query('SELECT email FROM accounts WHERE email IN ($1, $2, $3)', [to, ...people])
    t.equal(left.length, 2)
    t.equal((await mailOf(nodes)).length, 1, 'one former owner is told')
  }
}

async function oneAccount(t: Test, nodes: Nodes) {
  for (let round = 0; round < ROUNDS; round += 1) {
    const email = `registered${round}@example.com`
    t.same(await everywhere(nodes, '/v1/accounts', [{ email, password: PASSWORD }]), [202, 202])
    t.equal((await nodes.database.query('SELECT id FROM accounts WHERE email = $1', [email])).length, 1)
    const statuses: number[] = []
    for (const { token } of await mailOf(nodes))
      statuses.push((await post(nodes.app, '/v1/email/confirm', { token })).statusCode)
    t.same(statuses.toSorted(), [204, 400], `round ${round}`)
  }
}

async function newest(t: Test, nodes: Nodes) {
  const email = 'newest@example.com'
  await registered(nodes.app, email)
  t.same(await everywhere(nodes, '/v1/recovery', [{ email }]), [202, 202])
  const mails = await mailOf(nodes)
  t.equal(mails.length, 2)
  t.equal((await nodes.database.query('SELECT id FROM one_time_tokens WHERE email = $1', [email])).length, 1)
}

async function everywhereOut(t: Test, nodes: Nodes) {
  const [a, b] = nodes.both
  const email = 'out@example.com'
  await registered(nodes.app, email)
  const tokens = await logIn(a, email)
  t.equal(await verdict(a, tokens), 'good')
  await post(a, '/v1/recovery', { email })
  const { token } = await onlyMail(nodes)
  t.equal((await post(b, '/v1/recovery/confirm', { token, new_password: 'a new horse battery' })).statusCode, 204)
  t.equal(await verdict(b, tokens), 'invalid_token', 'at once on the node that was asked')
  t.equal((await post(a, '/v1/refresh', { refresh_token: tokens.refresh_token })).statusCode, 401)
  while ((await verdict(a, tokens)) === 'good') await sleep(20) // the other one hears of it
  t.equal(await verdict(a, tokens), 'invalid_token')
}

/** In SQLite transactions never overlap. Here one waits in its middle: for the outbox, after it changed the address. */
async function givenUp(t: Test, nodes: Nodes) {
  const [a, b] = nodes.both
  const email = 'owner@example.com'
  await registered(nodes.app, email)
  const { access_token } = await logIn(a, email)
  await call(a, access_token, 'PUT', '/v1/me/email', { new_email: 'thief@example.org', password: PASSWORD })
  const { token } = await onlyMail(nodes)
  const client = new pg.Client(nodes.config.DATABASE_URL)
  await client.connect()
  try {
    const waiting = async (count: number) => {
      const sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
      while ((await client.query(sql)).rowCount !== count) await sleep(20)
    }
    await client.query('BEGIN')
    await client.query('LOCK TABLE outbox IN SHARE MODE')
    const confirmed = post(a, '/v1/email/confirm', { token })
    await waiting(1)
    const replied = post(b, '/v1/accounts', { email, password: PASSWORD })
    await waiting(2)
    await client.query('COMMIT')
    t.same([(await confirmed).statusCode, (await replied).statusCode], [204, 202])
  } finally {
    await client.end()
  }
  const holders = await nodes.database.query('SELECT id FROM accounts WHERE email = $1', [email])
  t.same(holders, [], 'it is kept for its former owner')
  const [mail, ...more] = await mailOf(nodes)
  t.match(mail, { kind: 'email_change_notice', to: email })
  t.same(more, [])
}
