import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/config.ts'
import { openDatabase } from '../../../src/db/open.ts'
import { administer, postgresUrl } from '../../support/postgres.ts'
import { tcpProxy } from '../../support/tcp-proxy.ts'

// What the store does behind a connection pooler, shown on machines without one: a proxy makes up the ids of server
// processes, as poolers do. What a real pooler answers is in pgbouncer.test.ts.

const TIMEOUTS = `SELECT current_setting('statement_timeout') AS statement,
     current_setting('idle_in_transaction_session_timeout') AS idle`

t.test('a process id that is made up: time-outs go with each call, nothing stays in the session', async (t) => {
  const direct = await postgresUrl(t)
  const routes: string[] = []
  const env = {
    DATABASE_URL: await behindMadeUpIds(t, direct),
    DATABASE_STATEMENT_TIMEOUT: '1',
    DATABASE_POOL_SIZE: '1',
  }
  const db = await openDatabase(loadConfig({ env }), (route) => routes.push(route))
  t.teardown(() => db.close())
  t.same(routes, ['pooled'])
  t.match(await db.query(TIMEOUTS), [{ statement: '1s', idle: '0' }])
  t.same(await db.transaction([{ sql: TIMEOUTS }]), [[{ statement: '1s', idle: '1s' }]])

  await db.query('CREATE TABLE things (id TEXT PRIMARY KEY, size BIGINT)')
  await db.query('CREATE TABLE seen AS SELECT 1 AS one')
  const rows = [
    await db.query("INSERT INTO things VALUES ($1, 1), ('b', $2) RETURNING id", ['a', null]),
    await db.query('SELECT size FROM things ORDER BY id'),
    await db.query("UPDATE things SET size = 2 WHERE id = 'nobody' RETURNING size"),
    await db.query("DELETE FROM things WHERE id = 'b'"),
  ]
  t.same(rows, [[{ id: 'a' }, { id: 'b' }], [{ size: 1 }, { size: null }], [], []])
  await t.rejects(db.query('SELECT pg_sleep(30)'), { code: 'store_unavailable', reason: /57014/ })
  await t.rejects(db.query('SELECT 1 / 0'), { message: /22012/ })
  await t.rejects(db.query('SELECT 1; SELECT 2'), { message: /42601/ })
  await t.rejects(db.query("INSERT INTO things VALUES ('a', 5)"), { message: /23505/ })
  t.same(await db.query('SELECT size FROM things'), [{ size: 1 }], 'the connection is used again')

  t.teardown(db.listen('things', () => t.fail('nobody can listen through a pooler')))
  const pool = () =>
    administer(`SELECT query FROM pg_stat_activity WHERE datname = '${new URL(direct).pathname.slice(1)}'`)
  while ((await pool()).length < 2) await db.transaction([{ sql: 'SELECT 1' }], 'things') // the one of the listener
  for (const { query } of await pool()) t.notMatch(query, /^LISTEN/)
})

t.test('the process id of the server itself: the time-outs are settings of the session', async (t) => {
  const routes: string[] = []
  const env = { DATABASE_URL: await postgresUrl(t), DATABASE_STATEMENT_TIMEOUT: '3' }
  const db = await openDatabase(loadConfig({ env }), (route) => routes.push(route))
  t.teardown(() => db.close())
  t.same(await db.query(TIMEOUTS), [{ statement: '3s', idle: '3s' }])
  t.same(await db.transaction([{ sql: TIMEOUTS }]), [[{ statement: '3s', idle: '3s' }]])
  t.same(routes, [])
})

/** A proxy that changes the process id in the message BackendKeyData (type K), and nothing else. */
async function behindMadeUpIds(t: Test, target: string): Promise<string> {
  const { port } = await tcpProxy(t, target, {
    answers(upstream, client) {
      // PostgreSQL sends it in one piece with what says that the login was good.
      const look = (chunk: Buffer) => {
        for (let at = 0; at + 9 <= chunk.length; at += 1 + chunk.readInt32BE(at + 1)) {
          if (chunk.toString('latin1', at, at + 1) !== 'K') continue
          chunk.writeInt32BE(-chunk.readInt32BE(at + 5), at + 5)
          upstream.off('data', look).pipe(client)
          break
        }
        client.write(chunk)
      }
      upstream.on('data', look)
    },
  })
  return Object.assign(new URL(target), { port }).href
}
