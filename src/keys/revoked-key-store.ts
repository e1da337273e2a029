import type { Database } from '../db/database.ts'

/** A signing key (by `kid`, 43 characters) or a refresh key (by `id`, 11 characters) that must never be used again. */
export interface RevokedKey {
  readonly kid: string
  /** Epoch seconds. */
  readonly revokedAt: number
}

export interface RevokedKeyStore {
  all(): Promise<RevokedKey[]>
  /** Remembers the keys. What is remembered already stays as it is. */
  add(keys: readonly RevokedKey[]): Promise<void>
}

/** The table of revoked keys. Nothing is ever deleted from it: a row is small, and a revocation is for ever. */
export function createRevokedKeyStore(database: Pick<Database, 'query' | 'transaction'>): RevokedKeyStore {
  return {
    async all() {
      const rows = await database.query<{ kid: string; revoked_at: number }>('SELECT kid, revoked_at FROM revoked_keys')
      return rows.map(({ kid, revoked_at }) => ({ kid, revokedAt: Number(revoked_at) }))
    },
    async add(keys) {
      const sql = 'INSERT INTO revoked_keys (kid, revoked_at) VALUES ($1, $2) ON CONFLICT (kid) DO NOTHING'
      await database.transaction(keys.map(({ kid, revokedAt }) => ({ sql, params: [kid, revokedAt] })))
    },
  }
}
