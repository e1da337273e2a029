import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Database } from '../../../src/db/database.ts'
import { openNode } from '../../support/engines.ts'
import { administer, postgresUrl } from '../../support/postgres.ts'

// What only PostgreSQL does, while it runs. What it does when it stops is in postgres-outage.test.ts.

async function nodes(t: Test, env: Record<string, string> = {}): Promise<[Database, Database]> {
  const url = await postgresUrl(t)
  const [a, b] = [await openNode(t, url, env), await openNode(t, url, env)]
  await a.query('CREATE TABLE things (id TEXT PRIMARY KEY, size BIGINT)')
  await a.query("INSERT INTO things (id, size) VALUES ('left', 0), ('right', 0)")
  return [a, b]
}

const grow = (id: string) => ({ sql: 'UPDATE things SET size = size + 1 WHERE id = $1 RETURNING size', params: [id] })
const pause = { sql: 'SELECT pg_sleep(0.1)' }

/** Listens for notifications, and lets a test wait until this many have arrived. */
function listener(t: Test, db: Database, channel: string) {
  let calls = 0
  const stop = db.listen(channel, () => {
    calls += 1
  })
  t.teardown(stop)
  return {
    stop,
    calls: () => calls,
    async atLeast(count: number) {
      while (calls < count) await sleep(5)
    },
  }
}

t.test('a notification reaches other nodes after the commit, and never for what was rolled back', async (t) => {
  const [a, b] = await nodes(t)
  const here = listener(t, a, 'revocations')
  const there = listener(t, b, 'revocations')
  const elsewhere = listener(t, b, 'Other "channel"')
  await Promise.all([here.atLeast(1), there.atLeast(1), elsewhere.atLeast(1)]) // once each for the connect

  await t.rejects(a.transaction([grow('left'), { sql: 'SELECT 1 / 0' }], 'revocations'))
  await a.transaction([grow('left')])
  await a.transaction([grow('left')], 'revocations')
  await Promise.all([here.atLeast(2), there.atLeast(2)])
  t.same(await b.query("SELECT size FROM things WHERE id = 'left'"), [{ size: 2 }], 'what it is about can be read')

  await a.transaction([grow('left')], 'Other "channel"')
  await elsewhere.atLeast(2)
  t.same([here.calls(), there.calls(), elsewhere.calls()], [2, 2, 2])
})

t.test('a listener that lost its connection is told when it has a new one, and hears again', async (t) => {
  const [a, b] = await nodes(t)
  const { atLeast } = listener(t, b, 'revocations')
  await atLeast(1)
  await a.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()",
  )
  await atLeast(2)
  await a.transaction([grow('left')], 'revocations')
  await atLeast(3)
})

t.test('whoever stopped listening hears no more', async (t) => {
  const [a, b] = await nodes(t)
  const [one, other] = [listener(t, b, 'revocations'), listener(t, b, 'revocations')]
  await Promise.all([one.atLeast(1), other.atLeast(1)])
  one.stop()
  await a.transaction([grow('left')], 'revocations')
  await other.atLeast(2)
  t.equal(one.calls(), 1)
})

t.test('transactions that block each other are tried again until both are done', async (t) => {
  const [a, b] = await nodes(t)
  const url = await a.query('SELECT current_database() AS name')
  await Promise.all([
    a.transaction([grow('left'), pause, grow('right')]),
    b.transaction([grow('right'), pause, grow('left')]),
  ])
  t.same(await a.query('SELECT size FROM things'), [{ size: 2 }, { size: 2 }])
  await Promise.all([a.close(), b.close()]) // now they have counted what they met
  const met = () =>
    administer(`SELECT deadlocks FROM pg_stat_database WHERE datname = '${url[0]?.name}' AND deadlocks > 0`)
  while ((await met()).length === 0) await sleep(5)
})

t.test('a transaction that could not be serialised is tried again', async (t) => {
  const [a, b] = await nodes(t)
  const strict = { sql: 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE' }
  const look = { sql: 'SELECT size FROM things' }
  await Promise.all([a, b].map((node) => node.transaction([strict, look, pause, grow('left')])))
  t.same(await a.query("SELECT size FROM things WHERE id = 'left'"), [{ size: 2 }])
})

t.test('a statement that takes too long is cut: store_unavailable, and its connection is used again', async (t) => {
  const [db] = await nodes(t, { DATABASE_STATEMENT_TIMEOUT: '1', DATABASE_POOL_SIZE: '1' })
  const [before] = await db.query('SELECT pg_backend_pid() AS pid')
  const slow = { sql: 'SELECT pg_sleep(30)' }
  await t.rejects(db.transaction([grow('left'), slow]), { code: 'store_unavailable', status: 503, reason: /57014/ })
  t.same(await db.query("SELECT size, pg_backend_pid() AS pid FROM things WHERE id = 'left'"), [{ size: 0, ...before }])
})

t.test('a statement that says how long it may take gets the time, in its transaction only', async (t) => {
  const [db] = await nodes(t, { DATABASE_STATEMENT_TIMEOUT: '1', DATABASE_POOL_SIZE: '1' })
  const limit = "SELECT current_setting('statement_timeout') AS limit"
  t.match(await db.transaction([{ sql: 'SELECT pg_sleep(1.1)' }, { sql: limit, timeout: 60 }]), [
    [],
    [{ limit: '1min' }],
  ])
  t.same(await db.query(limit), [{ limit: '1s' }])
})

t.test('more calls than can wait are refused at once, and none hangs', async (t) => {
  const [db] = await nodes(t, { DATABASE_POOL_SIZE: '1' })
  const refused: string[] = []
  const calls = Array.from({ length: 1500 }, () => db.query('SELECT 1').catch(({ reason }) => refused.push(reason)))
  await nextTurn() // nothing outside the process can have answered by then
  t.ok(refused.length >= 499 && refused.length <= 500, `${refused.length} were refused`)
  for (const reason of refused) if (!/too many calls wait/.test(reason)) t.fail(reason)
  await Promise.all(calls)
})

t.test('one connection that is cut fails its own call and no other', async (t) => {
  const [a, b] = await nodes(t)
  const cut = t.rejects(a.query('SELECT pg_sleep(30)'), { code: 'store_unavailable', reason: /57P01/ })
  const end =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%sleep(30)' AND pid <> pg_backend_pid()"
  while ((await b.query(end)).length === 0) await sleep(5)
  await cut
  t.same(await a.query('SELECT 1 AS one'), [{ one: 1 }])
})

t.test('text that PostgreSQL can not hold is a plain error without the text', async (t) => {
  const [db] = await nodes(t)
  const write = (id: string) =>
    db.transaction([grow('left'), { sql: 'INSERT INTO things (id) VALUES ($1)', params: [id] }])
  await t.rejects(write('hunter2\0'), { code: 'validation_failed' })
  await t.rejects(db.query('SELECT CAST($1 AS BIGINT)', ['hunter2']), { message: /^PostgreSQL 22P02$/ })
  t.same(await db.query("SELECT size FROM things WHERE id = 'left'"), [{ size: 0 }])
})

t.test('a text of two statements is refused, with parameters or without', async (t) => {
  const [db] = await nodes(t)
  for (const params of [[], ['left']]) await t.rejects(db.query('SELECT 1; SELECT 2', params), { message: /42601/ })
})
