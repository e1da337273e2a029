import type { Statement } from '../db/database.ts'
import type { Session } from './session.ts'

// Statements on the sessions table that several stores use in their transactions.

/**
 * True when the account is still active and its password is still the one that was verified. Parameters: `$1`, `$2`.
 */
export const ACTIVE_ACCOUNT = "id = $1 AND status = 'active' AND password_hash = $2"

/** Opens a session, if ACTIVE_ACCOUNT still holds. */
export function insertSession(
  { id, accountId, clientId, scope, createdAt, expiresAt, ip, userAgent }: Session,
  hash: string,
  maxExpiresAt: number,
): Statement {
  return {
    sql: `INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at, rotated_at, expires_at,
                                max_expires_at, counter, repeats, ip, user_agent)
          SELECT CAST($3 AS TEXT), id, CAST($4 AS TEXT), CAST($5 AS TEXT),
                 CAST($6 AS BIGINT), CAST($6 AS BIGINT), CAST($6 AS BIGINT),
                 CAST($7 AS BIGINT), CAST($8 AS BIGINT), 0, 0, CAST($9 AS TEXT), CAST($10 AS TEXT)
          FROM accounts WHERE ${ACTIVE_ACCOUNT} RETURNING id`,
    params: [
      accountId,
      hash,
      id,
      clientId,
      scope,
      createdAt,
      Math.min(expiresAt, maxExpiresAt),
      maxExpiresAt,
      ip,
      userAgent,
    ],
  }
}

/** Ends the sessions above the limit, the least recently used first; never the one that was just opened. */
export function endAboveLimit({ id, accountId, createdAt }: Session, limit: number, mark: string): Statement {
  return {
    sql: `UPDATE sessions SET ended_at = $2, end_reason = 'limit', ended_by = $3 WHERE id IN (
            SELECT id FROM sessions WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2
            ORDER BY CASE WHEN id = $4 THEN 0 ELSE 1 END, last_used_at DESC, id LIMIT 1000000 OFFSET $5) RETURNING id`,
    params: [accountId, createdAt, mark, id, limit],
  }
}
