import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { endSessions, REVOCATIONS } from '../revocations/revocation-store.ts'
import type { RenewedSession, SessionLimits } from './session.ts'
import { toRefreshedSession, toTokenSubject } from './session-rows.ts'
import { ACTIVE_ACCOUNT, ALWAYS_ANOTHER, renewRefreshToken } from './session-statements-store.ts'

export interface NewPassword {
  readonly accountId: string
  /** The session that goes on. */
  readonly sessionId: string
  /** The hash that was verified, and the new one. */
  readonly hashes: { readonly from: string; readonly to: string }
}

/**
 * Sets a new password, ends every other session, and gives this one a new refresh token, in one transaction.
 *
 * @returns the session with its new counter, or undefined when nothing changed: another change was faster, or the
 *   session is over
 */
export async function changePassword(
  database: Database,
  { accountId, sessionId, hashes }: NewPassword,
  { now, limits, audit }: { now: number; limits: SessionLimits; audit: AuditEntry },
): Promise<RenewedSession | undefined> {
  const [verified, done] = [randomId(), randomId()]
  const renewal = {
    id: sessionId,
    accountId,
    now,
    expiresAt: now + limits.idleTtl,
    source: audit.source,
    renewedSince: ALWAYS_ANOTHER,
  }
  const [accounts = [], sessions = []] = await database.transaction(
    [
      // The account is locked before its sessions, as everywhere.
      {
        sql: `UPDATE accounts SET changed_by = $3 WHERE ${ACTIVE_ACCOUNT} RETURNING roles, token_version`,
        params: [accountId, hashes.from, verified],
      },
      renewRefreshToken(renewal, verified),
      {
        sql: `UPDATE accounts SET password_hash = $2, changed_by = $3
              WHERE id = $1 AND changed_by = $4 AND EXISTS (SELECT 1 FROM sessions WHERE id = $5 AND changed_by = $4)`,
        params: [accountId, hashes.to, done, verified, sessionId],
      },
      ...endSessions({ accountId, except: sessionId, ifChanged: true }, 'password_changed', now, done),
      auditRow(audit, now, {
        exists: 'SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2',
        params: [accountId, done],
      }),
    ],
    REVOCATIONS,
  )
  if (!accounts[0] || !sessions[0]) return undefined
  return { session: toRefreshedSession(sessions[0]), subject: toTokenSubject(accounts[0], accountId) }
}
