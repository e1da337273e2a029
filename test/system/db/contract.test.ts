import t, { type Test } from 'tap'
import type { Database } from '../../../src/db/database.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { MIGRATIONS } from '../../../src/db/migrations.ts'
import { AppError } from '../../../src/errors/app-error.ts'
import { ENGINES, type Engine, openNode } from '../../support/engines.ts'

// What stores may rely on, whatever DATABASE_URL says. What only one engine does has a file of its own.

const now = () => 1_800_000_000

const TABLES = [
  'CREATE TABLE things (id TEXT PRIMARY KEY, size BIGINT)',
  'CREATE TABLE parts (thing TEXT NOT NULL REFERENCES things (id) ON DELETE CASCADE, name TEXT NOT NULL)',
]

/** Two nodes on one database with some tables. */
async function nodes(t: Test, engine: Engine): Promise<[Database, Database]> {
  const url = await engine.url(t)
  const [a, b] = [await openNode(t, url), await openNode(t, url)]
  for (const sql of TABLES) await a.query(sql)
  return [a, b]
}

const insert = (id: string, size: number | null = 1) => ({
  sql: 'INSERT INTO things (id, size) VALUES ($1, $2) RETURNING id',
  params: [id, size],
})
const grow = (id: string) => ({ sql: 'UPDATE things SET size = size + 1 WHERE id = $1 RETURNING size', params: [id] })

for (const engine of ENGINES) {
  t.test(`${engine.name}: values`, (t) => values(t, engine))
  t.test(`${engine.name}: transactions`, (t) => transactions(t, engine))
  t.test(`${engine.name}: at the same time`, (t) => concurrency(t, engine))
  t.test(`${engine.name}: refusals`, (t) => refusals(t, engine))
  t.test(`${engine.name}: migrations`, (t) => migrations(t, engine))
}

async function values(t: Test, engine: Engine) {
  const [db, other] = await nodes(t, engine)

  await t.test('parameters are bound by number, in any order and more than once', async (t) => {
    const sql = 'SELECT CAST($2 AS BIGINT) AS b, CAST($1 AS TEXT) AS a, CAST($2 AS BIGINT) AS c, CAST($3 AS TEXT) AS d'
    t.same(await db.query(sql, ['a', 2, null]), [{ b: 2, a: 'a', c: 2, d: null }])
  })

  await t.test('text and numbers come back as they were, on another node too', async (t) => {
    const texts = ['', "'; DROP TABLE things --", '$1', 'e\u0301 é', '😀\n\t\u0001', 'ß'.repeat(60_000)]
    const numbers = [0, -1, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1), null]
    for (const [index, text] of texts.entries()) {
      const written = { id: text, size: numbers[index] ?? null }
      await db.query('INSERT INTO things (id, size) VALUES ($1, $2)', [written.id, written.size])
      t.same(await other.query('SELECT id, size FROM things WHERE id = $1', [text]), [written])
    }
  })

  await t.test('what is counted, summed and compared is a number', async (t) => {
    const numbers = 'SELECT 1 AS n UNION ALL SELECT 2'
    const sql = `SELECT COUNT(*) AS count, SUM(n) AS sum, MAX(n) AS max, 1 = 1 AS yes, 1 = 2 AS no FROM (${numbers}) x`
    t.same(await db.query(sql), [{ count: 2, sum: 3, max: 2, yes: 1, no: 0 }])
    const nothing = 'SELECT MAX(size) AS max, SUM(size) AS sum FROM things WHERE id = $1'
    t.same(await db.query(nothing, ['nobody']), [{ max: null, sum: null }])
  })

  await t.test('a number that would lose digits is an error, and the store goes on', async (t) => {
    await t.rejects(db.query('SELECT CAST(9223372036854775807 AS BIGINT) AS big'), Error)
    t.same(await db.query('SELECT 1 AS one'), [{ one: 1 }])
  })
}

async function transactions(t: Test, engine: Engine) {
  const [db, other] = await nodes(t, engine)

  await t.test('all or nothing', async (t) => {
    t.same(await db.transaction([insert('a'), insert('b')]), [[{ id: 'a' }], [{ id: 'b' }]])
    await t.rejects(db.transaction([insert('c'), grow('a'), insert('a')]), { message: /unique/i })
    t.same(await other.query('SELECT id, size FROM things ORDER BY id'), [
      { id: 'a', size: 1 },
      { id: 'b', size: 1 },
    ])
  })

  await t.test('a statement sees what the ones before it did', async (t) => {
    const look = { sql: 'SELECT size FROM things WHERE id = $1', params: ['seen'] }
    const [, , , seen] = await db.transaction([insert('seen', 5), grow('seen'), grow('seen'), look])
    t.same(seen, [{ size: 7 }])
  })

  await t.test('ON CONFLICT with RETURNING tells who was first', async (t) => {
    const claim = "INSERT INTO things (id, size) VALUES ('claim', $1) ON CONFLICT (id) DO NOTHING RETURNING size"
    t.same([await db.query(claim, [1]), await other.query(claim, [2])], [[{ size: 1 }], []])
    const raise = `INSERT INTO things (id, size) VALUES ('claim', $1)
      ON CONFLICT (id) DO UPDATE SET size = excluded.size WHERE excluded.size > things.size RETURNING size`
    t.same([await db.query(raise, [9]), await other.query(raise, [3])], [[{ size: 9 }], []])
  })

  await t.test('rows that refer to a deleted row are deleted with it', async (t) => {
    const part = { sql: 'INSERT INTO parts (thing, name) VALUES ($1, $2)', params: ['whole', 'wheel'] }
    await db.transaction([insert('whole'), part])
    await db.query('DELETE FROM things WHERE id = $1', ['whole'])
    t.same(await other.query('SELECT name FROM parts'), [])
    await t.rejects(db.query(part.sql, part.params), { message: /foreign key/i })
  })

  await t.test('a transaction that notifies works like any other, and a listener can stop', async (t) => {
    const stop = db.listen('things', () => undefined)
    t.same(await db.transaction([insert('told')], 'things'), [[{ id: 'told' }]])
    stop()
    stop()
  })
}

async function concurrency(t: Test, engine: Engine) {
  const [a, b] = await nodes(t, engine)
  const both = (count: number) => Array.from({ length: count }, (_, n) => (n % 2 === 0 ? a : b))

  await t.test('calls that wait for their turn are counted, and none when all are done', async (t) => {
    t.equal(a.waiting(), 0)
    const calls = Array.from({ length: 100 }, () => a.query('SELECT 1 AS one'))
    t.ok(a.waiting() >= 80, `${a.waiting()}`)
    await Promise.all(calls)
    t.equal(a.waiting(), 0)
  })

  await t.test('of many that swap one row, one wins', async (t) => {
    await a.transaction([insert('counter', 0)])
    const swap = "UPDATE things SET size = 1 WHERE id = 'counter' AND size = 0 RETURNING size"
    const outcomes = await Promise.all(both(30).map((node) => node.query(swap)))
    t.equal(outcomes.flat().length, 1)
  })

  await t.test('of many that count up one row, none is lost', async (t) => {
    await a.transaction([insert('sum', 0)])
    const seen = await Promise.all(both(30).map((node) => node.transaction([grow('sum'), grow('sum')])))
    const last = seen.map(([, second]) => Number(second?.[0]?.size)).sort((x, y) => x - y)
    t.same(
      last,
      Array.from({ length: 30 }, (_, n) => 2 * n + 2),
    )
  })

  await t.test('transactions that take two rows in opposite order are all done', async (t) => {
    await a.transaction([insert('left', 0), insert('right', 0)])
    await Promise.all(
      both(4).map((node, n) =>
        node.transaction(n % 2 === 0 ? [grow('left'), grow('right')] : [grow('right'), grow('left')]),
      ),
    )
    t.same(await a.query("SELECT size FROM things WHERE id IN ('left', 'right')"), [{ size: 4 }, { size: 4 }])
  })

  await t.test('of calls that run together, one that fails takes no other with it', async (t) => {
    const calls = [insert('x'), insert('y'), insert('x'), insert('z'), { sql: 'SELECT * FROM nowhere' }]
    const outcomes = await Promise.allSettled(
      calls.map(({ sql, ...rest }) => a.query(sql, 'params' in rest ? rest.params : [])),
    )
    t.equal(outcomes.filter(({ status }) => status === 'rejected').length, 2)
    t.equal((await b.query("SELECT id FROM things WHERE id IN ('x', 'y', 'z')")).length, 3)
  })
}

async function refusals(t: Test, engine: Engine) {
  const [db] = await nodes(t, engine)

  await t.test('a mistake of ours is a plain error that quotes no parameter', async (t) => {
    const secret = 'hunter2@example.com'
    await db.query('INSERT INTO things (id) VALUES ($1)', [secret])
    const mistakes = [
      'INSERT INTO things (id) VALUES ($1)',
      'INSERT INTO parts (thing, name) VALUES (NULL, $1)',
      'INSERT INTO things (id, sise) VALUES ($1, 1)',
      'SELECT * FROM nowhere WHERE id = $1',
      'SELEC $1',
    ]
    for (const sql of mistakes) {
      const error = await db.query(sql, [secret]).catch((error: Error) => error)
      t.ok(error instanceof Error && !(error instanceof AppError), sql)
      t.notMatch(JSON.stringify([error, (error as Error).message, (error as Error).stack]), secret)
    }
    t.same(await db.query('SELECT id FROM things'), [{ id: secret }], 'and the store goes on')
  })

  await t.test('a closed store refuses with store_unavailable, after it finished what was asked before', async (t) => {
    const texts = Array.from({ length: 50 }, (_, n) => `last ${n}`)
    const asked = texts.map((text) => db.query('INSERT INTO things (id) VALUES ($1) RETURNING id', [text]))
    const closed = db.close()
    await t.rejects(db.query('SELECT 1'), { code: 'store_unavailable' })
    t.same(
      (await Promise.all(asked)).flat(),
      texts.map((id) => ({ id })),
    )
    await closed
    await t.rejects(db.transaction([insert('late')]), { code: 'store_unavailable', status: 503 })
    db.listen('things', () => undefined)()
    await db.close()
  })
}

async function migrations(t: Test, engine: Engine) {
  await t.test('are applied once, by several nodes that boot together too', async (t) => {
    const url = await engine.url(t)
    const all = await Promise.all(Array.from({ length: 4 }, () => openNode(t, url)))
    const applied = await Promise.all(all.map((node) => migrate(node, now)))
    t.same(
      // Whichever node wins a step: each step once.
      applied
        .flat()
        .map(({ version }) => version)
        .sort((a, b) => a - b),
      MIGRATIONS.map(({ version }) => version),
    )
    t.same(await migrate(all[0] as Database, now), [])
  })

  await t.test('a step that fails leaves nothing behind', async (t) => {
    const [db] = await nodes(t, engine)
    const twice = ['CREATE TABLE half (id TEXT)', 'CREATE TABLE half (id TEXT)']
    await t.rejects(migrate(db, now, [{ version: 1, name: 'broken', statements: twice }]), {
      message: /already exists/,
    })
    await t.rejects(db.query('SELECT * FROM half'), { message: /no such table|does not exist/ })
    t.same(await db.query('SELECT version FROM schema_migrations'), [])
  })

  await t.test('a database newer than the code is refused', async (t) => {
    const [db] = await nodes(t, engine)
    await migrate(db, now)
    await db.query('INSERT INTO schema_migrations (version, name, applied_at) VALUES (999, $1, 0)', ['future'])
    await t.rejects(migrate(db, now), { message: /version 999/, hint: /newer/ })
  })
}
