import type { RequestSource } from '../audit/audit.ts'
import type { Statement } from '../db/database.ts'
import type { Session } from './session.ts'
import { REFRESHED_COLUMNS } from './session-rows.ts'

// Statements on the sessions table that several stores use in their transactions.

/**
 * True when the account may still be logged in to and its password is still the one that was verified. Parameters:
 * `$1`, `$2`.
 */
export const ACTIVE_ACCOUNT =
  "id = $1 AND status = 'active' AND awaits_confirmation = 0 AND needs_recovery = 0 AND password_hash = $2"

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

/**
 * Ends the sessions above the limit, the least recently used first; never the one that was just opened. When everybody
 * was ended since the last login, it ends all others that are left: the end of the sessions may have failed.
 *
 * @param mark the account has it as `changed_by` when this login lifted it above the versions of everybody
 */
export function endOthers({ id, accountId, createdAt }: Session, limit: number, mark: string): Statement {
  const isLifted = 'EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $3)'
  return {
    sql: `UPDATE sessions SET ended_at = $2, end_reason = CASE WHEN ${isLifted} THEN 'everybody' ELSE 'limit' END,
            ended_by = $3
          WHERE id IN (
            SELECT id FROM sessions WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2
            ORDER BY CASE WHEN id = $4 THEN 0 ELSE 1 END, last_used_at DESC, id
            LIMIT 1000000 OFFSET CASE WHEN ${isLifted} THEN 1 ELSE CAST($5 AS BIGINT) END) RETURNING id`,
    params: [accountId, createdAt, mark, id, limit],
  }
}

export interface Renewal {
  readonly id: string
  readonly accountId: string
  /** Epoch seconds, like `expiresAt`. */
  readonly now: number
  readonly expiresAt: number
  readonly source: RequestSource
  /** A session that was renewed since then, and not refreshed after that, keeps its token: it was asked twice. */
  readonly renewedSince: number
}

/** As `renewedSince`: every renewal gives another token. */
export const ALWAYS_ANOTHER = Number.MAX_SAFE_INTEGER
const JUST_RENEWED = 'valid_from = counter AND auth_time >= $8'

/**
 * Gives a live session a new refresh token, and makes all that it had before worthless: for a caller who has just shown
 * the password, which counts as a login. Returns the session as after a refresh.
 *
 * @param mark the session gets it as `changed_by`; the same transaction must have marked the account with it
 */
export function renewRefreshToken(renewal: Renewal, mark: string): Statement {
  const { id, accountId, now, expiresAt, source, renewedSince } = renewal
  const next = `CASE WHEN ${JUST_RENEWED} THEN counter ELSE counter + 1 END`
  return {
    sql: `UPDATE sessions
          SET counter = ${next}, valid_from = ${next}, exchanged = '', foreign_repeats = 0, foreign_counter = -1,
            auth_time = $3, rotated_at = CASE WHEN ${JUST_RENEWED} THEN rotated_at ELSE $3 END, last_used_at = $3,
            ip = $5, user_agent = $6, changed_by = $7,
            expires_at = CASE WHEN max_expires_at < $4 THEN max_expires_at ELSE $4 END
          WHERE id = $1 AND account_id = $2 AND ended_at IS NULL AND expires_at > $3
            AND EXISTS (SELECT 1 FROM accounts WHERE id = $2 AND changed_by = $7) RETURNING ${REFRESHED_COLUMNS}`,
    params: [id, accountId, now, expiresAt, source.ip, source.userAgent, mark, renewedSince],
  }
}
