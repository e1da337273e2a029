import type { Database } from '../db/database.ts'
import { COOKIE_TRANSPORT, type HasCookieTransport } from './cookie-transport.ts'

export function createHasCookieTransport(database: Pick<Database, 'query'>): HasCookieTransport {
  return async ({ accountId, sessionId }) => {
    const rows = await database.query(
      `SELECT e.id FROM sessions s JOIN audit_events e ON e.account_id = s.account_id AND e.at = s.created_at
       WHERE s.id = $1 AND s.account_id = $2 AND e.session_id = $1 AND e.event = 'login_succeeded' AND e.detail = $3`,
      [sessionId, accountId, JSON.stringify(COOKIE_TRANSPORT)],
    )
    return rows.length > 0
  }
}
