import type { Database } from '../db/database.ts'

/** The step of the migrations that came with the present cookie: its time is that of the update. */
const UPDATE = 6

/**
 * Tells whether a session began before this release came to the database, or at most some seconds after. Never true in
 * a database that this release created.
 */
export type BeganBeforeUpdate = (sessionId: string, seconds: number) => Promise<boolean>

export function createBeganBeforeUpdate(database: Pick<Database, 'query'>): BeganBeforeUpdate {
  return async (sessionId, seconds) => {
    // An account from before shows that an earlier release used the database. Accounts are asked for last: there may
    // be a million of them, and few sessions began so early.
    const rows = await database.query(
      `SELECT s.id FROM sessions s JOIN schema_migrations m ON m.version = $2
       WHERE s.id = $1 AND s.created_at <= m.applied_at + CAST($3 AS BIGINT)
         AND EXISTS (SELECT 1 FROM accounts a WHERE a.created_at < m.applied_at)`,
      [sessionId, UPDATE, seconds],
    )
    return rows.length === 1
  }
}
