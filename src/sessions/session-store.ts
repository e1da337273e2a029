import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { type EndReason, revocationExpiry } from '../revocations/revocation.ts'
import { endSessions, REVOCATIONS, revokeSessionsEndedBy } from '../revocations/revocation-store.ts'
import { VERSION_FLOOR } from '../revocations/version-floor.ts'
import { changePassword, type NewPassword } from './change-password-store.ts'
import { type ConfirmedSession, reauthenticateSession } from './reauthenticate-store.ts'
import { endIfReused, type RefreshBy, refreshSession } from './refresh-store.ts'
import type { RefreshClaim } from './refresh-token.ts'
import type { RefreshOutcome, RenewedSession, Session, SessionLimits, TokenSubject } from './session.ts'
import { SESSION_COLUMNS, toSession, toTokenSubject } from './session-rows.ts'
import { ACTIVE_ACCOUNT, endOthers, insertSession } from './session-statements-store.ts'

export interface SessionStore {
  /**
   * Opens a session, if the account is still active and its password is still the one that was verified. The least
   * recently used sessions above the limit end in the same transaction.
   *
   * @returns what the account's tokens carry and how many sessions ended, or undefined when the account changed
   *   meanwhile
   */
  open(
    session: Session,
    verifiedHash: string,
    limits: SessionLimits,
    audit: AuditEntry,
  ): Promise<{ subject: TokenSubject; ended: number } | undefined>
  /** Applies a refresh token, as `judgeRefresh` decides. */
  refresh(claim: RefreshClaim, by: RefreshBy): Promise<RefreshOutcome>
  /**
   * Only what a refresh would do with the token of a thief.
   *
   * @returns true when the session was ended for it
   */
  endIfReused(claim: RefreshClaim, by: RefreshBy): Promise<boolean>
  /** Sets a new password. The session in which that was done goes on, with a new refresh token. */
  changePassword(
    password: NewPassword,
    by: { now: number; limits: SessionLimits; audit: AuditEntry },
  ): Promise<RenewedSession | undefined>
  /** Makes the login of a session as recent as now, and gives it a new refresh token. */
  reauthenticate(
    confirmed: ConfirmedSession,
    by: { now: number; limits: SessionLimits; audit: AuditEntry },
  ): Promise<RenewedSession | undefined>
  /** A live session. */
  byId(id: string, now: number): Promise<Session | undefined>
  /** Live sessions of an account, the most recently used first. */
  list(accountId: string, now: number): Promise<Session[]>
  /**
   * Ends sessions and revokes them in one transaction.
   *
   * @returns how many ended
   */
  end(
    which: { accountId: string; id?: string; except?: string; liveOnly?: boolean },
    reason: EndReason,
    now: number,
    audit: AuditEntry,
  ): Promise<number>
  /** What the account's tokens carry, if the session is live and belongs to this account. */
  tokenSubject(sessionId: string, accountId: string, now: number): Promise<TokenSubject | undefined>
  /** The owner of the session of a refresh token, if it is live and the token is not from before a password change. */
  live(claim: RefreshClaim, now: number): Promise<Pick<Session, 'accountId' | 'clientId' | 'scope'> | undefined>
  /** Deletes sessions that ended or expired before an instant. */
  deleteOver(before: number): Promise<void>
}

const BELOW_FLOOR = `token_version < ${VERSION_FLOOR}`

export function createSessionStore(database: Database): SessionStore {
  return {
    async open(session, verifiedHash, limits, audit) {
      const mark = randomId()
      const { createdAt: now } = session
      const [accounts = [], opened = [], ended = []] = await database.transaction(
        [
          // The account row is locked first: a suspension or a password change either committed before, and is seen
          // here, or waits for this transaction, and then sees the session. A login is above what was revoked for
          // everybody. Where that lifts the account it leaves its mark, because it lifts older sessions, too.
          {
            sql: `UPDATE accounts SET last_login_at = $3,
                    token_version = CASE WHEN ${BELOW_FLOOR} THEN ${VERSION_FLOOR} ELSE token_version END,
                    changed_by = CASE WHEN ${BELOW_FLOOR} THEN CAST($4 AS TEXT) ELSE changed_by END
                  WHERE ${ACTIVE_ACCOUNT} RETURNING id, roles, token_version, email_verified_at`,
            params: [session.accountId, verifiedHash, now, mark],
          },
          insertSession(session, verifiedHash, now + limits.maxTtl),
          endOthers(session, limits.perAccount, mark),
          ...revokeSessionsEndedBy(mark, revocationExpiry(now)),
          auditRow(audit, now, { exists: 'SELECT 1 FROM sessions WHERE id = $1', params: [session.id] }),
        ],
        REVOCATIONS,
      )
      if (!accounts[0] || !opened[0]) return undefined
      return { subject: toTokenSubject(accounts[0], session.accountId), ended: ended.length }
    },

    refresh: (claim, by) => refreshSession(database, claim, by),
    endIfReused: (claim, by) => endIfReused(database, claim, by),
    changePassword: (password, by) => changePassword(database, password, by),
    reauthenticate: (confirmed, by) => reauthenticateSession(database, confirmed, by),

    async byId(id, now) {
      const [row] = await database.query(
        `SELECT ${SESSION_COLUMNS} FROM sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > $2`,
        [id, now],
      )
      return row && toSession(row)
    },

    async list(accountId, now) {
      const rows = await database.query(
        `SELECT ${SESSION_COLUMNS} FROM sessions WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2
         ORDER BY last_used_at DESC, id`,
        [accountId, now],
      )
      return rows.map(toSession)
    },

    async end(which, reason, now, audit) {
      const mark = randomId()
      const [ended = []] = await database.transaction(
        [
          ...endSessions(which, reason, now, mark),
          auditRow(audit, now, { exists: 'SELECT 1 FROM sessions WHERE ended_by = $1', params: [mark] }),
        ],
        REVOCATIONS,
      )
      return ended.length
    },

    async tokenSubject(sessionId, accountId, now) {
      const [row] = await database.query(
        `SELECT a.roles, a.token_version, a.email_verified_at FROM sessions s JOIN accounts a ON a.id = s.account_id
         WHERE s.id = $1 AND a.id = $2 AND s.ended_at IS NULL AND s.expires_at > $3 AND a.status = 'active'`,
        [sessionId, accountId, now],
      )
      return row && toTokenSubject(row, accountId)
    },

    async live({ sessionId, counter }, now) {
      const [row] = await database.query(
        `SELECT ${SESSION_COLUMNS} FROM sessions
         WHERE id = $1 AND ended_at IS NULL AND expires_at > $2 AND valid_from <= $3`,
        [sessionId, now, counter],
      )
      return row && toSession(row)
    },

    async deleteOver(before) {
      await database.query('DELETE FROM sessions WHERE expires_at < $1 OR ended_at < $1', [before])
    },
  }
}
