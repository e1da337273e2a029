import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { migrate } from '../../src/db/migrate.ts'
import { MIGRATIONS } from '../../src/db/migrations.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { temporaryFolder } from '../support/app.ts'

const now = () => 1_800_000_000

async function database(t: Parameters<typeof temporaryFolder>[0], path = ':memory:') {
  const database = await openSqlite(path)
  t.teardown(() => database.close())
  await database.query('CREATE TABLE IF NOT EXISTS things (id TEXT PRIMARY KEY, size BIGINT)')
  return database
}

t.test('parameters are bound by number, in any order and more than once', async (t) => {
  const db = await database(t)
  const rows = await db.query('SELECT $2 AS b, $1 AS a, $2 AS c, $3 AS d', ['a', 2, null])
  t.same(rows, [{ b: 2, a: 'a', c: 2, d: null }])
})

t.test('a transaction is all or nothing', async (t) => {
  const db = await database(t)
  const insert = (id: string) => ({ sql: 'INSERT INTO things (id, size) VALUES ($1, 1) RETURNING id', params: [id] })
  t.same(await db.transaction([insert('a'), insert('b')]), [[{ id: 'a' }], [{ id: 'b' }]])
  await t.rejects(db.transaction([insert('c'), insert('a')]), { message: /UNIQUE/ })
  t.same(await db.query('SELECT id FROM things ORDER BY id'), [{ id: 'a' }, { id: 'b' }])
})

t.test('of jobs that run together, one that fails takes no other with it', async (t) => {
  const db = await database(t)
  const insert = (id: string) => db.query('INSERT INTO things (id) VALUES ($1)', [id])
  const outcomes = await Promise.allSettled([
    insert('a'),
    insert('b'),
    insert('a'),
    insert('c'),
    db.query('SELECT * FROM nowhere'),
  ])
  t.same(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'rejected'],
  )
  t.equal((await db.query('SELECT id FROM things')).length, 3)
})

t.test('a closed store refuses at once with store_unavailable, after it finished what was asked before', async (t) => {
  const db = await database(t)
  const asked = db.query('INSERT INTO things (id) VALUES ($1) RETURNING id', ['last'])
  const closed = db.close()
  t.same(await asked, [{ id: 'last' }])
  await closed
  await t.rejects(db.query('SELECT 1'), { code: 'store_unavailable' })
  await db.close()
})

t.test('a disk that takes no more is store_unavailable, and what was acknowledged stays', async (t) => {
  const db = await database(t, join(await temporaryFolder(t), 'full.db'))
  await db.query('INSERT INTO things (id) VALUES ($1)', ['kept'])
  await db.query('PRAGMA max_page_count = 12')
  const big = () => db.query('INSERT INTO things (id) VALUES ($1)', ['x'.repeat(60_000)])
  await t.rejects(big(), { code: 'store_unavailable' })
  t.same(await db.query('SELECT id FROM things'), [{ id: 'kept' }])
})

t.test('another process that writes makes us wait, not fail', async (t) => {
  const path = join(await temporaryFolder(t), 'shared.db')
  const db = await database(t, path)
  const other = new DatabaseSync(path)
  other.exec("BEGIN IMMEDIATE; INSERT INTO things (id) VALUES ('theirs')")
  const ours = db.query('INSERT INTO things (id) VALUES ($1)', ['ours'])
  other.exec('COMMIT')
  other.close()
  await ours
  t.equal((await db.query('SELECT id FROM things')).length, 2)
})

t.test('migrations are applied once, by several at once too', async (t) => {
  const path = join(await temporaryFolder(t), 'signet.db')
  const nodes = await Promise.all([openSqlite(path), openSqlite(path), openSqlite(path)])
  for (const node of nodes) t.teardown(() => node.close())
  const applied = await Promise.all(nodes.map((node) => migrate(node, now)))
  t.equal(applied.flat().length, MIGRATIONS.length)
  t.same(await migrate(nodes[0], now), [])
})

t.test('a step that fails leaves nothing behind', async (t) => {
  const db = await database(t)
  const broken = [
    { version: 1, name: 'broken', statements: ['CREATE TABLE half (id TEXT)', 'CREATE TABLE half (id TEXT)'] },
  ]
  await t.rejects(migrate(db, now, broken), { message: /already exists/ })
  await t.rejects(db.query('SELECT * FROM half'), { message: /no such table/ })
  t.same(await db.query('SELECT version FROM schema_migrations'), [])
})

t.test('a database newer than the code is refused', async (t) => {
  const db = await database(t)
  await migrate(db, now)
  await db.query('INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, $1, 0)', ['future'])
  await t.rejects(migrate(db, now), { message: /version 999/, hint: /newer/ })
})
