import type { Database } from '../db/database.ts'

/** The step of the migrations that came with the present cookie: its time is that of the update. */
const UPDATE = 6

/** Tells whether a session began before this release came to the database, or at most some seconds after. */
export type BeganBeforeUpdate = (sessionId: string, seconds: number) => Promise<boolean>

export function createBeganBeforeUpdate(database: Pick<Database, 'query'>): BeganBeforeUpdate {
  return async (sessionId, seconds) => {
    const rows = await database.query(
      `SELECT id FROM sessions WHERE id = $1
         AND created_at <= (SELECT applied_at FROM schema_migrations WHERE version = $2) + CAST($3 AS BIGINT)`,
      [sessionId, UPDATE, seconds],
    )
    return rows.length === 1
  }
}
