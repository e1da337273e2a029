import t from 'tap'
import type { Database } from '../../../src/db/database.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { MIGRATIONS } from '../../../src/db/migrations.ts'
import { createBeganBeforeUpdate } from '../../../src/sessions/former-cookie-store.ts'
import { createSessionStore } from '../../../src/sessions/session-store.ts'
import { ENGINES, openNode } from '../../support/engines.ts'

// Nobody is logged out by the upgrade to the version that remembers when a refresh token was exchanged.

const NOW = 1_800_000_000
const limits = { idleTtl: 10_000, maxTtl: 10_000, perAccount: 9, grace: 10, retry: 1000 }
const source = { ip: null, userAgent: 'A', requestId: null }

async function insert(database: Database, id: string, { rotatedAt, counter }: { rotatedAt: number; counter: number }) {
  await database.query(
    `INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at, rotated_at, expires_at,
                           max_expires_at, counter, repeats, ip, user_agent)
     VALUES ($1, 'acc', 'signet', '', $2, $3, $3, $4, $4, $5, 0, NULL, 'A')`,
    [id, NOW - 500, rotatedAt, NOW + 5000, counter],
  )
}

/** A rotation as servers of the version before write it. */
const rotatedByOldServer = (database: Database, id: string, at: number) =>
  database.query('UPDATE sessions SET counter = counter + 1, repeats = 0, rotated_at = $2 WHERE id = $1', [id, at])

const account = (database: Database, createdAt: number) =>
  database.query(
    `INSERT INTO accounts (id, email, password_hash, status, roles, token_version, created_at)
     VALUES ('acc', 'a@example.com', 'x', 'active', '[]', 1, $1)`,
    [createdAt],
  )

for (const engine of ENGINES) {
  t.test(engine.name, async (t) => {
    const database = await openNode(t, await engine.url(t))
    await migrate(database, () => NOW, MIGRATIONS.slice(0, 4))
    await account(database, NOW)
    await insert(database, 'new', { rotatedAt: NOW - 500, counter: 0 })
    await insert(database, 'just now', { rotatedAt: NOW - 5, counter: 3 })
    await insert(database, 'lost', { rotatedAt: NOW - 60, counter: 3 })
    await insert(database, 'stolen', { rotatedAt: NOW - 60, counter: 3 })
    await migrate(database, () => NOW)
    t.same(await database.query("SELECT exchanged FROM sessions WHERE id = 'just now'"), [
      { exchanged: `${NOW - 5}:2,` },
    ])

    const sessions = createSessionStore(database)
    const show = async (sessionId: string, counter: number) =>
      (await sessions.refresh({ sessionId, counter }, { now: NOW, limits, source })).kind
    t.equal(await show('new', 0), 'rotated')
    t.equal(await show('just now', 2), 'repeated')
    t.equal(await show('just now', 3), 'rotated')
    t.equal(await show('just now', 2), 'repeated', 'overtaken by that')
    t.equal(await show('lost', 2), 'retried')
    t.equal(await show('stolen', 1), 'reused')

    await rotatedByOldServer(database, 'new', NOW - 3)
    t.equal(await show('new', 1), 'repeated', 'while one of the old servers still runs')
    await rotatedByOldServer(database, 'lost', NOW - 60)
    t.equal(await show('lost', 4), 'retried')
  })

  t.test(`${engine.name}: which sessions may have the cookie of before`, async (t) => {
    // Sessions begin at NOW - 500.
    const CASES: [name: string, registered: number, updated: number, is: boolean][] = [
      ['long before the update', NOW - 9000, NOW, true],
      ['an hour after it', NOW - 9000, NOW - 500 - 3600, true],
      ['a second later', NOW - 9000, NOW - 501 - 3600, false],
      ['in a database without an account from before', NOW - 500, NOW - 500, false],
      ['the same, a second after the first start', NOW - 500, NOW - 501, false],
    ]
    for (const [name, registered, updated, is] of CASES) {
      const database = await openNode(t, await engine.url(t))
      await migrate(database, () => updated)
      await account(database, registered)
      await insert(database, 'one', { rotatedAt: NOW - 500, counter: 0 })
      const beganBeforeUpdate = createBeganBeforeUpdate(database)
      t.equal(await beganBeforeUpdate('one', 3600), is, name)
      t.equal(await beganBeforeUpdate('none', 3600), false, `${name}: no session`)
    }
  })
}
