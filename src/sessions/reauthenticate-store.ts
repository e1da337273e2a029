import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database } from '../db/database.ts'
import { randomId } from '../ids.ts'
import type { RenewedSession, SessionLimits } from './session.ts'
import { toRefreshedSession, toTokenSubject } from './session-rows.ts'
import { ACTIVE_ACCOUNT, ALWAYS_ANOTHER, renewRefreshToken } from './session-statements-store.ts'

/** A session whose owner has just shown the password. */
export interface ConfirmedSession {
  readonly accountId: string
  readonly sessionId: string
  /** The hash that was verified. */
  readonly hash: string
}

/**
 * Makes the login of a session as recent as now, and gives it a new refresh token, in one transaction.
 *
 * @returns the session with its new counter, or undefined when nothing changed: the account changed meanwhile, or the
 *   session is over
 */
export async function reauthenticateSession(
  database: Database,
  { accountId, sessionId, hash }: ConfirmedSession,
  { now, limits, audit }: { now: number; limits: SessionLimits; audit: AuditEntry },
): Promise<RenewedSession | undefined> {
  const mark = randomId()
  const renewal = {
    id: sessionId,
    accountId,
    now,
    expiresAt: now + limits.idleTtl,
    source: audit.source,
    renewedSince: limits.grace === 0 ? ALWAYS_ANOTHER : now - limits.grace,
  }
  const [accounts = [], sessions = []] = await database.transaction([
    // The account is locked before its sessions, as everywhere.
    {
      sql: `UPDATE accounts SET changed_by = $3 WHERE ${ACTIVE_ACCOUNT} RETURNING roles, token_version`,
      params: [accountId, hash, mark],
    },
    renewRefreshToken(renewal, mark),
    auditRow(audit, now, {
      exists: 'SELECT 1 FROM sessions WHERE id = $1 AND changed_by = $2',
      params: [sessionId, mark],
    }),
  ])
  if (!accounts[0] || !sessions[0]) return undefined
  return { session: toRefreshedSession(sessions[0]), subject: toTokenSubject(accounts[0], accountId) }
}
