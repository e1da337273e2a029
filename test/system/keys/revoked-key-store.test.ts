import t from 'tap'
import { migrate } from '../../../src/db/migrate.ts'
import { createRevokedKeyStore } from '../../../src/keys/revoked-key-store.ts'
import { ENGINES, openNode } from '../../support/engines.ts'

for (const engine of ENGINES) {
  t.test(
    `${engine.name}: what one node remembers as revoked, every node reads, and the first to say it dates it`,
    async (t) => {
      const url = await engine.url(t)
      const [a, b] = [await openNode(t, url), await openNode(t, url)]
      await migrate(a, () => 1_800_000_000)
      const [one, other] = [createRevokedKeyStore(a), createRevokedKeyStore(b)]
      t.same(await other.all(), [])
      const keys = [
        { kid: 'a'.repeat(43), revokedAt: 1_800_000_000 },
        { kid: 'b'.repeat(11), revokedAt: 1_800_000_001 },
      ]
      await Promise.all([one.add(keys), other.add([{ kid: 'c'.repeat(43), revokedAt: 5 }])])
      await other.add(keys.map(({ kid }) => ({ kid, revokedAt: 1_900_000_000 })))
      const stored = (await other.all()).sort((x, y) => x.kid.localeCompare(y.kid))
      t.same(stored, [...keys, { kid: 'c'.repeat(43), revokedAt: 5 }])
    },
  )
}
