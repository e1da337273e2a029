import t from 'tap'
import type { RevokedKey, RevokedKeyStore } from '../../src/keys/revoked-key-store.ts'
import { RevokedKeys } from '../../src/keys/revoked-keys.ts'

/** The table of revoked keys. */
class Table implements RevokedKeyStore {
  readonly rows = new Map<string, RevokedKey>()

  async all() {
    return [...this.rows.values()]
  }

  async add(keys: readonly RevokedKey[]) {
    for (const key of keys) this.rows.set(key.kid, key)
  }
}

t.test('revoked keys: the memory only grows', async (t) => {
  const table = new Table()
  const kid = (letter: string) => letter.repeat(43)
  const keys = new RevokedKeys(table)
  keys.see([
    { kid: kid('b'), revokedAt: 5 },
    { kid: 'c'.repeat(11), revokedAt: 6 },
  ])
  keys.see([])
  t.equal(await keys.sync(), false, 'no news: the store knew nothing')
  t.same([...table.rows.keys()], [kid('b'), 'c'.repeat(11)])
  table.rows.set(kid('a'), { kid: kid('a'), revokedAt: 7 })
  t.equal(await keys.sync(), true)
  t.equal(await keys.sync(), false)
  table.rows.clear()
  t.equal(await keys.sync(), false)
  t.same(keys.signingKids(), [kid('a'), kid('b')], 'also when the store forgets')
  t.ok(keys.has('c'.repeat(11)))
  t.equal(await new RevokedKeys().sync(), false, 'without a store')
})
