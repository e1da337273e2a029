import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/config.ts'
import type { Database } from '../../../src/db/database.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { MIGRATIONS } from '../../../src/db/migrations.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { openNode } from '../../support/engines.ts'
import { noPgbouncer, startPgbouncer } from '../../support/pgbouncer.ts'
import { administer, postgresUrl, startPostgres, stopPostgres } from '../../support/postgres.ts'
import { tcpProxy } from '../../support/tcp-proxy.ts'

// The store behind a real PgBouncer in transaction mode, which is otherwise at its defaults.

const skip = { skip: noPgbouncer }
const ONE_SESSION = { default_pool_size: '1' }
const TIMEOUTS = `SELECT current_setting('statement_timeout') AS statement,
     current_setting('idle_in_transaction_session_timeout') AS idle`

const reasonOf = (db: Database, sql = 'SELECT 1') =>
  db.query(sql).then(
    () => 'good',
    (error) => String(error.reason ?? error.message),
  )

/** Asks until the answer fits. */
async function until(ask: () => unknown, wanted: RegExp): Promise<void> {
  while (!wanted.test(String(await ask()))) await sleep(20)
}

/** A connection of another program. */
async function otherClient(t: Test, url: string): Promise<Client> {
  const client = new Client({ connectionString: url, ssl: false })
  client.on('error', () => undefined)
  await client.connect()
  t.teardown(() => client.end())
  return client
}

t.test('time-outs are in force, and other users of the same session see nothing of them', skip, async (t) => {
  const direct = await postgresUrl(t)
  const { url } = await startPgbouncer(t, direct, ONE_SESSION)
  const db = await openNode(t, url, { DATABASE_STATEMENT_TIMEOUT: '1' })
  await db.query('CREATE TABLE things (id TEXT PRIMARY KEY, size BIGINT)')
  t.same(await db.query("INSERT INTO things (id, size) VALUES ($1, 1), ('b', $2) RETURNING id", ['a', null]), [
    { id: 'a' },
    { id: 'b' },
  ])
  t.same(await db.query('SELECT size FROM things ORDER BY id'), [{ size: 1 }, { size: null }])
  t.same(await db.query("DELETE FROM things WHERE id = 'nobody'"), [])

  t.match(await db.query(TIMEOUTS), [{ statement: '1s' }])
  t.same(await db.transaction([{ sql: TIMEOUTS }]), [[{ statement: '1s', idle: '1s' }]])
  t.match(await db.transaction([{ sql: TIMEOUTS, timeout: 60 }]), [[{ statement: '1min', idle: '1s' }]])
  const other = await otherClient(t, url)
  t.same((await other.query(TIMEOUTS)).rows, [{ statement: '0', idle: '0' }])

  t.match(await reasonOf(db, 'SELECT pg_sleep(30)'), /57014/)
  const holder = await otherClient(t, direct)
  await holder.query("BEGIN; UPDATE things SET size = 2 WHERE id = 'a'")
  const grow = { sql: "UPDATE things SET size = size + 1 WHERE id = 'a'" }
  await t.rejects(db.query(grow.sql), { code: 'store_unavailable', reason: /57014/ }, 'a lock is awaited no longer')
  await t.rejects(db.transaction([grow]), { code: 'store_unavailable', reason: /57014/ })
  await holder.query('ROLLBACK')
  t.equal(await reasonOf(db), 'good')
  await t.rejects(db.query('SELECT 1 / 0'), { message: /22012/ })
  await t.rejects(db.query('SELECT 1; SELECT 2'), { message: /42601/ })
})

t.test('nodes that boot together apply each migration once, and share two sessions for many calls', skip, async (t) => {
  const direct = await postgresUrl(t)
  const { url, stop, start } = await startPgbouncer(t, direct, ONE_SESSION)
  const nodes = await Promise.all([1, 2, 3].map(() => openNode(t, url)))
  const applied = await Promise.all(nodes.map((db) => migrate(db, () => 1)))
  t.equal(applied.flat().length, MIGRATIONS.length)

  await stop()
  await start({ default_pool_size: '2' })
  for (const db of nodes) await until(() => reasonOf(db), /good/)
  await nodes[0]?.query('CREATE TABLE things (id TEXT PRIMARY KEY, size BIGINT)')
  await nodes[0]?.query("INSERT INTO things VALUES ('a', 0)")
  const write = { sql: "UPDATE things SET size = size + 1 WHERE id = 'a'" }
  const calls = Array.from({ length: 30 }, (_, n) => [
    nodes[n % 3]?.transaction([write], 'x'),
    nodes[n % 3]?.query('SELECT 1'),
  ])
  await Promise.all(calls.flat())
  t.same(await nodes[1]?.query('SELECT size FROM things'), [{ size: 30 }])
  const [sessions] = await administer(
    `SELECT count(*) FROM pg_stat_activity WHERE datname = '${new URL(direct).pathname.slice(1)}'`,
  )
  t.ok(Number(sessions?.count) <= 2, `${sessions?.count} sessions`)
})

t.test('no node listens through it, and each does when it is taken away under a live server', skip, async (t) => {
  const direct = await postgresUrl(t)
  const { url, stop, start } = await startPgbouncer(t, direct)
  const routes: string[] = []
  const config = loadConfig({ env: { DATABASE_URL: url, DATABASE_STATEMENT_TIMEOUT: '2' } })
  const db = await openDatabase(config, (route) => routes.push(route))
  t.teardown(() => db.close())
  let told = 0
  t.teardown(
    db.listen('things', () => {
      told += 1
    }),
  )
  await db.transaction([{ sql: 'SELECT 1' }], 'things')
  const name = new URL(direct).pathname.slice(1)
  const listeners = () =>
    administer(`SELECT pid FROM pg_stat_activity WHERE datname = '${name}' AND query LIKE 'LISTEN%'`)
  t.same(await listeners(), [])
  t.same([told, routes], [0, ['pooled']])

  await stop()
  const cut = (await tcpProxy(t, direct, { port: Number(new URL(url).port) })).end
  await until(() => reasonOf(db), /good/)
  while (told === 0) await sleep(20)
  t.same(routes, ['pooled', 'direct'])
  t.equal((await listeners()).length, 1)
  const before = told
  await db.transaction([{ sql: 'SELECT 1' }], 'things')
  while (told === before) await sleep(5)
  t.match(await reasonOf(db, 'SELECT pg_sleep(30)'), /57014/, 'time-outs are in force without it')

  await cut()
  await start()
  await until(() => reasonOf(db), /good/)
  t.same(routes, ['pooled', 'direct', 'pooled'])
  t.match(await reasonOf(db, 'SELECT pg_sleep(30)'), /57014/, 'and with it again')
})

t.test('it is restarted under load: calls are refused meanwhile, and none hangs', skip, async (t) => {
  const { url, stop, start } = await startPgbouncer(t, await postgresUrl(t), { default_pool_size: '2' })
  const db = await openNode(t, url)
  await db.query('CREATE TABLE things (id TEXT PRIMARY KEY, size BIGINT)')
  await db.query("INSERT INTO things VALUES ('a', 0)")
  const codes = new Set<unknown>()
  let [done, over] = [0, false]
  const lane = async (n: number) => {
    const write = { sql: "UPDATE things SET size = size + 1 WHERE id = 'a'" }
    while (!over) {
      await (n % 2 ? db.query('SELECT size FROM things') : db.transaction([write])).then(
        () => (done += 1),
        ({ code }) => codes.add(code),
      )
      await sleep(2)
    }
  }
  const lanes = Promise.all(Array.from({ length: 12 }, (_, n) => lane(n)))
  while (done < 100) await sleep(5)
  await stop()
  while (codes.size === 0) await sleep(5)
  await start()
  const before = done
  while (done < before + 100) await sleep(5)
  over = true
  await lanes
  t.same([...codes], ['store_unavailable'])
})

t.test('it is full, waits too long, or PostgreSQL behind it is full or away: the log says which', skip, async (t) => {
  const direct = await postgresUrl(t)
  const { url, stop, start } = await startPgbouncer(t, direct, { max_client_conn: '2', ...ONE_SESSION })
  const db = await openNode(t, url, { DATABASE_POOL_SIZE: '3', DATABASE_STATEMENT_TIMEOUT: '4' })
  const answers = await Promise.all([1, 2, 3].map(() => reasonOf(db, 'SELECT pg_sleep(0.2)')))
  t.match(
    answers.find((answer) => answer !== 'good'),
    /the connection pooler takes no more clients \(08P01: no more connections allowed \(max_client_conn\)\)/,
  )
  t.equal(await reasonOf(db), 'good', 'the connections that we have go on')

  await stop()
  await start({ query_wait_timeout: '1', ...ONE_SESSION })
  await until(() => reasonOf(db), /good/)
  const slow = db.query('SELECT pg_sleep(2.5)')
  await sleep(50)
  t.match(await reasonOf(db), /had no connection to PostgreSQL free in time/)
  await slow
  t.equal(await reasonOf(db), 'good')

  await stop()
  await start({ ...ONE_SESSION, server_login_retry: '1' })
  await until(() => reasonOf(db), /good/)
  await stopPostgres()
  await until(() => reasonOf(db), /PostgreSQL behind it is not \(08P01: .*server_login_retry|pooler has no connection/)
  await until(() => reasonOf(db), /PostgreSQL behind it is not \(08P01: .*server_login_retry/)
  const refusal = await openDatabase(loadConfig({ env: { DATABASE_URL: url } })).catch((error) => error)
  t.match(refusal, { message: /PostgreSQL behind it is not/, hint: /the pooler runs; PostgreSQL must run too/ })
  await startPostgres()
  await until(() => reasonOf(db), /good/)

  await administer("CREATE ROLE bouncer_few LOGIN PASSWORD 'secret' CONNECTION LIMIT 0")
  const few = Object.assign(new URL(direct), { username: 'bouncer_few', password: 'secret' }).href
  const { url: full } = await startPgbouncer(t, few)
  const crowded = await openDatabase(loadConfig({ env: { DATABASE_URL: full } })).catch((error) => error)
  t.match(crowded, { message: /gives the connection pooler no more connections .*too many/, hint: /max_connections/ })
  const stranger = Object.assign(new URL(url), { password: 'wrong-secret' }).href
  const unknown = await openDatabase(loadConfig({ env: { DATABASE_URL: stranger } })).catch((error) => error)
  t.match(unknown, { message: /pooler does not let this user in/, hint: /auth_file/ })
  t.notMatch(`${unknown.message}${unknown.hint}`, /wrong-secret/)
})
