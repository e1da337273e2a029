import type { Database } from '../db/database.ts'

/** One login, from its beginning to its end. */
export interface Session {
  readonly id: string
  readonly accountId: string
  /** Epoch seconds. */
  readonly createdAt: number
  readonly ip: string
  readonly userAgent: string | null
}

export interface SessionStore {
  insert(session: Session): Promise<void>
}

export function createSessionStore(database: Database): SessionStore {
  return {
    async insert({ id, accountId, createdAt, ip, userAgent }) {
      await database.query(
        'INSERT INTO sessions (id, account_id, created_at, ip, user_agent) VALUES ($1, $2, $3, $4, $5)',
        [id, accountId, createdAt, ip, userAgent],
      )
    },
  }
}
