import { createRequire } from 'node:module'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import { openDatabase } from '../../src/db/open.ts'
import { temporaryFolder } from '../support/app.ts'

// What only SQLite does. What every engine does is in contract.test.ts.

async function database(t: Test, path = ':memory:') {
  const database = await openDatabase(loadConfig({ env: { DATABASE_URL: `sqlite:${path}` } }))
  t.teardown(() => database.close())
  await database.query('CREATE TABLE IF NOT EXISTS things (id TEXT PRIMARY KEY, size BIGINT)')
  return database
}

t.test('a server on SQLite does not load the PostgreSQL driver', async (t) => {
  await database(t)
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  t.same(
    loaded.filter((path) => /[\\/]node_modules[\\/]pg[\\/]/.test(path)),
    [],
  )
})

t.test('a disk that takes no more is store_unavailable, and what was acknowledged stays', async (t) => {
  const db = await database(t, join(await temporaryFolder(t), 'full.db'))
  await db.query('INSERT INTO things (id) VALUES ($1)', ['kept'])
  await db.query('PRAGMA max_page_count = 12')
  const big = () => db.query('INSERT INTO things (id) VALUES ($1)', ['x'.repeat(60_000)])
  await t.rejects(big(), { code: 'store_unavailable' })
  t.same(await db.query('SELECT id FROM things'), [{ id: 'kept' }])
})

t.test('two processes that open a new file at once wait for each other', async (t) => {
  const path = join(await temporaryFolder(t), 'new.db')
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE') // so far has the other one come in its change to WAL
  const opened = database(t, path).then(
    () => 'opened',
    ({ message }) => message,
  )
  for (let i = 0; i < 3; i += 1) await database(t) // these begin later, so the first has tried when they are open
  other.exec('COMMIT')
  other.close()
  t.equal(await opened, 'opened')
})

t.test('another process that writes does not keep reads waiting', async (t) => {
  const path = join(await temporaryFolder(t), 'shared.db')
  const db = await database(t, path)
  await db.query('INSERT INTO things (id) VALUES ($1)', ['before'])
  const other = new DatabaseSync(path)
  other.exec('BEGIN IMMEDIATE')
  let written = false
  const ours = db.query('INSERT INTO things (id) VALUES ($1)', ['ours']).then(() => {
    written = true
  })
  for (let i = 0; i < 5; i += 1) t.same(await db.query('SELECT id FROM things'), [{ id: 'before' }])
  const next = db.transaction([{ sql: 'INSERT INTO things (id) VALUES ($1)', params: ['next'] }])
  const closed = db.close()
  await t.rejects(db.query('SELECT 1'), { code: 'store_unavailable', reason: /closing/ })
  t.equal(written, false)
  other.exec('COMMIT')
  await Promise.all([ours, next, closed])
  t.equal(other.prepare('SELECT id FROM things').all().length, 3, 'closing waits for what was taken')
  other.close()
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
