import t from 'tap'
import type { Account } from '../../../src/accounts/account.ts'
import { createAccountStore } from '../../../src/accounts/account-store.ts'
import { migrate } from '../../../src/db/migrate.ts'
import { ENGINES, openNode } from '../../support/engines.ts'

// Engines compare text in different orders (bytes, or a language: a < B, and `-` counts little). A walk must not
// depend on which.

const LETTERS = [...'aAbB-_09']
const IDS = LETTERS.flatMap((a) => LETTERS.flatMap((b) => LETTERS.map((c) => a + b + c)))
const NOW = 1_800_000_000

for (const engine of ENGINES) {
  t.test(`${engine.name}: a walk through all pages meets every account once`, async (t) => {
    const database = await openNode(t, await engine.url(t))
    await migrate(database, () => NOW)
    const value = (id: string, index: number) => [id, `${index}@example.com`, NOW + (index % 2)]
    await database.transaction(
      IDS.map((id, index) => ({
        sql: `INSERT INTO accounts (id, email, password_hash, status, roles, token_version, created_at)
              VALUES ($1, $2, 'x', 'active', '[]', 1, $3)`,
        params: value(id, index),
      })),
    )
    const accounts = createAccountStore(database)
    const met: Account[] = []
    for (;;) {
      const page = await accounts.list({ after: met.at(-1), limit: 7 })
      if (page.length === 0 || met.length > IDS.length) break
      met.push(...page)
    }
    t.same(met.map(({ id }) => id).sort(), IDS.toSorted())
    t.same(
      met.map(({ createdAt }) => createdAt),
      met.map(({ createdAt }) => createdAt).sort(),
      'oldest first',
    )
  })
}
