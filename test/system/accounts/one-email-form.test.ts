import t from 'tap'
import { createAccountStore } from '../../../src/accounts/account-store.ts'
import { accountByEmail } from '../../../src/accounts/find-account.ts'
import { bringEmailsToOneForm } from '../../../src/accounts/one-email-form-store.ts'
import { loadConfig } from '../../../src/config/config.ts'
import type { Database } from '../../../src/db/database.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { MIGRATIONS } from '../../../src/db/migrations.ts'
import { createLogger } from '../../../src/observability/logger.ts'
import { prepareStore } from '../../../src/process/boot.ts'
import { ENGINES, openNode } from '../../support/engines.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const NOW = 1_800_000_000
const BEFORE = MIGRATIONS.filter(({ version }) => version < 6)

const insert = (database: Database, rows: Record<string, string>) =>
  database.transaction(
    Object.entries(rows).map(([id, email]) => ({
      sql: `INSERT INTO accounts (id, email, password_hash, status, roles, token_version, created_at)
            VALUES ($1, $2, 'x', 'active', '[]', 1, $3)`,
      params: [id, email, NOW],
    })),
  )

async function emails(database: Database): Promise<Record<string, string>> {
  const rows = await database.query<{ id: string; email: string }>('SELECT id, email FROM accounts ORDER BY id')
  return Object.fromEntries(rows.map(({ id, email }) => [id, email]))
}

for (const engine of ENGINES) {
  t.test(`${engine.name}: rows from before come to the one form, by several nodes at once too`, async (t) => {
    const url = await engine.url(t)
    const nodes = await Promise.all(Array.from({ length: 3 }, () => openNode(t, url)))
    const [database = undefined as never] = nodes
    await migrate(database, () => NOW, BEFORE)
    const many = Object.fromEntries(Array.from({ length: 450 }, (_, i) => [`m${i}`, `user${i}@bücher.example`]))
    await insert(database, {
      ascii: 'ada@example.com',
      local: 'jürgen@example.com',
      ideographic: 'ada@例え.example',
      ...many,
    })
    const applied = nodes.map(async (node) => {
      await migrate(node, () => NOW)
      return bringEmailsToOneForm(node)
    })
    const done = await Promise.all(applied)
    t.same(
      done.flatMap((outcome) => outcome?.collisions ?? []),
      [],
    )
    t.equal(
      done.reduce((sum, outcome) => sum + (outcome?.changed ?? 0), 0),
      451,
      'each row once',
    )
    const after = await emails(database)
    t.match(after, { ascii: 'ada@example.com', local: 'jürgen@example.com', ideographic: 'ada@xn--r8jz45g.example' })
    for (const i of [0, 199, 200, 449]) t.equal(after[`m${i}`], `user${i}@xn--bcher-kva.example`)
    t.equal(Object.keys(after).length, 453)
    t.equal(await bringEmailsToOneForm(database), undefined, 'it is done')
  })

  t.test(
    `${engine.name}: a collision keeps both rows, is reported by id at each start, and ends when one is gone`,
    async (t) => {
      const url = await engine.url(t)
      const [database, other] = [await openNode(t, url), await openNode(t, url)]
      await migrate(database, () => NOW)
      const rows = {
        a1: 'ada@bücher.example',
        a2: 'ada@xn--bcher-kva.example',
        b1: 'bob@bücher.example',
        b2: 'bob@BÜCHER.example', // never written by any release: two rows that change to the same email at once
        c1: 'eve@bücher.example',
      }
      await insert(database, rows)
      const outcomes = await Promise.all([database, other].map(bringEmailsToOneForm))
      for (const outcome of outcomes) {
        const pairs = outcome?.collisions.map(({ inOneForm, other }) => [inOneForm, other].sort().join())
        t.same(pairs?.sort(), ['a1,a2', 'b1,b2'])
      }
      const after = await emails(database)
      t.match(after, { a1: rows.a1, a2: rows.a2, c1: 'eve@xn--bcher-kva.example' })
      t.equal([after.b1, after.b2].filter((email) => email === 'bob@xn--bcher-kva.example').length, 1)
      t.equal(Object.keys(after).length, 5, 'nothing is lost')

      const accounts = createAccountStore(database)
      for (const [typed, id] of [
        ['ada@bücher.example', 'a1'],
        [' Ada@BÜCHER.example', 'a1'],
        ['ada@xn--bcher-kva.example', 'a2'],
        ['ada@bücher。example', 'a2'],
        ['eve@bücher.example', 'c1'],
      ] as const)
        t.equal((await accountByEmail(accounts, typed))?.id, id, typed)

      t.equal((await bringEmailsToOneForm(database))?.collisions.length, 2, 'again at the next start')
      await database.query("DELETE FROM accounts WHERE id IN ('a2', 'b1')")
      t.match(await bringEmailsToOneForm(database), { collisions: [] })
      t.match(await emails(database), { a1: 'ada@xn--bcher-kva.example', b2: 'bob@xn--bcher-kva.example' })
      t.equal(await bringEmailsToOneForm(database), undefined)
    },
  )
}

t.test('a boot does it, and tells the operator which accounts and what to do, without their emails', async (t) => {
  const [sqlite] = ENGINES
  const url = (await sqlite?.url(t)) ?? ''
  const database = await openNode(t, url)
  await migrate(database, () => NOW, BEFORE)
  await insert(database, { a1: 'ada@bücher.example', a2: 'ada@xn--bcher-kva.example', c1: 'eve@bücher.example' })
  const log: string[] = []
  const logger = await createLogger({
    level: 'info',
    readable: false,
    destination: { write: (line) => void log.push(line) },
  })
  const config = loadConfig({ env: { NODE_ENV: 'production', DATABASE_URL: url, ISSUER: 'https://id.example.com' } })
  const folder = { dir: await temporaryFolder(t), passphrase: undefined }
  const opened = await prepareStore(config, folder, logger)
  t.teardown(() => opened.close())
  t.match(await emails(opened), { c1: 'eve@xn--bcher-kva.example' })
  const lines = log.map((line) => JSON.parse(line))
  t.match(
    lines.find(({ account_ids }) => account_ids),
    { level: /warn|40/, account_ids: ['a2', 'a1'], msg: /DELETE \/v1\/me/ },
  )
  t.match(
    lines.find(({ accounts }) => accounts),
    { accounts: 1 },
  )
  t.notMatch(log.join('\n'), /ada@|eve@/)
})
