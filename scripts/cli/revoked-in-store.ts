import { existsSync } from 'node:fs'
import type { Config } from '../../src/config/config.ts'
import type { Database } from '../../src/db/database.ts'
import { openDatabase, sqlitePath } from '../../src/db/open.ts'
import { createRevokedKeyStore } from '../../src/keys/revoked-key-store.ts'
import { assertCodeIsReadable } from './act-as-owner.ts'
import type { StoredRevocations } from './keys-check.ts'

/** Asks the database which keys were revoked. It is never made or changed: the keys may live on another machine. */
export async function revokedInStore(config: Config): Promise<StoredRevocations> {
  const path = sqlitePath(config.DATABASE_URL)
  if (path !== undefined && !existsSync(path)) return { why: `there is no database at ${path}` }
  let database: Database | undefined
  try {
    await assertCodeIsReadable()
    database = await openDatabase({ ...config, DATABASE_POOL_SIZE: 1 })
    const keys = await createRevokedKeyStore(database).all()
    return { kids: keys.map(({ kid }) => kid) }
  } catch (error) {
    return { why: `${(error as Error).message} (DATABASE_URL)` }
  } finally {
    await database?.close()
  }
}
