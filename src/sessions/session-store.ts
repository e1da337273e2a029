import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Row } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { type EndReason, revocationExpiry } from '../revocations/revocation.ts'
import { endSessions, REVOCATIONS, revokeSessionsEndedBy } from '../revocations/revocation-store.ts'
import { MAX_REPEATS, type RefreshOutcome, type Session, type SessionLimits, type TokenSubject } from './session.ts'
import { ACTIVE_ACCOUNT, endAboveLimit, insertSession } from './session-statements-store.ts'

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
  /**
   * One compare-and-swap on the counter. When it fails, tells whether this is a repeat, a reuse or a session that is
   * over.
   */
  refresh(
    claim: { sessionId: string; counter: number },
    by: { now: number; limits: SessionLimits; audit: AuditEntry },
  ): Promise<RefreshOutcome>
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
  /** The owner of a session, if it is live. */
  live(sessionId: string, now: number): Promise<Pick<Session, 'accountId' | 'clientId' | 'scope'> | undefined>
  /** Deletes sessions that ended or expired before an instant. */
  deleteOver(before: number): Promise<void>
}

const COLUMNS = 'id, account_id, client_id, scope, created_at, last_used_at, expires_at, ip, user_agent'
const REFRESHED = `RETURNING id, account_id, client_id, scope, created_at, counter, rotated_at,
  (SELECT status FROM accounts a WHERE a.id = account_id) AS status,
  (SELECT roles FROM accounts a WHERE a.id = account_id) AS roles,
  (SELECT token_version FROM accounts a WHERE a.id = account_id) AS token_version`

export function createSessionStore(database: Database): SessionStore {
  return {
    async open(session, verifiedHash, limits, audit) {
      const mark = randomId()
      const { createdAt: now } = session
      const [accounts = [], opened = [], ended = []] = await database.transaction(
        [
          // The account row is locked first: a suspension or a password change either committed before, and is seen
          // here, or waits for this transaction, and then sees the session.
          {
            sql: `UPDATE accounts SET last_login_at = $3 WHERE ${ACTIVE_ACCOUNT} RETURNING id, roles, token_version`,
            params: [session.accountId, verifiedHash, now],
          },
          insertSession(session, verifiedHash, now + limits.maxTtl),
          endAboveLimit(session, limits.perAccount, mark),
          ...revokeSessionsEndedBy(mark, revocationExpiry(now)),
          auditRow(audit, now, { exists: 'SELECT 1 FROM sessions WHERE id = $1', params: [session.id] }),
        ],
        REVOCATIONS,
      )
      if (!accounts[0] || !opened[0]) return undefined
      return { subject: toTokenSubject(accounts[0], session.accountId), ended: ended.length }
    },

    async refresh({ sessionId, counter }, { now, limits, audit }) {
      const { ip, userAgent } = audit.source
      const [rotated] = await database.query(
        `UPDATE sessions
         SET counter = counter + 1, repeats = 0, rotated_at = $3, last_used_at = $3, ip = $5, user_agent = $6,
           expires_at = CASE WHEN max_expires_at < $4 THEN max_expires_at ELSE $4 END
         WHERE id = $1 AND counter = $2 AND ended_at IS NULL AND expires_at > $3 ${REFRESHED}`,
        [sessionId, counter, now, now + limits.idleTtl, ip, userAgent],
      )
      if (rotated) return refreshed('rotated', rotated)
      const [repeated] = await database.query(
        `UPDATE sessions SET repeats = repeats + 1
         WHERE id = $1 AND counter = $2 AND rotated_at >= $3 AND repeats < $4
           AND ended_at IS NULL AND expires_at > $5 ${REFRESHED}`,
        [sessionId, counter + 1, now - limits.grace, MAX_REPEATS, now],
      )
      if (repeated) return refreshed('repeated', repeated)
      return endReused(database, { sessionId, counter, now, reusedAfter: limits.reusedAfter, audit })
    },

    async list(accountId, now) {
      const rows = await database.query(
        `SELECT ${COLUMNS} FROM sessions WHERE account_id = $1 AND ended_at IS NULL AND expires_at > $2
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
        `SELECT a.roles, a.token_version FROM sessions s JOIN accounts a ON a.id = s.account_id
         WHERE s.id = $1 AND a.id = $2 AND s.ended_at IS NULL AND s.expires_at > $3 AND a.status = 'active'`,
        [sessionId, accountId, now],
      )
      return row && toTokenSubject(row, accountId)
    },

    async live(sessionId, now) {
      const [row] = await database.query(
        `SELECT ${COLUMNS} FROM sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > $2`,
        [sessionId, now],
      )
      return row && toSession(row)
    },

    async deleteOver(before) {
      await database.query('DELETE FROM sessions WHERE expires_at < $1 OR ended_at < $1', [before])
    },
  }
}

/**
 * Handles a refresh token that is older than the grace allows: somebody holds a copy. The session ends and is revoked,
 * and the audit row names the network and client of both sides.
 */
async function endReused(
  database: Database,
  {
    sessionId,
    counter,
    now,
    reusedAfter,
    audit,
  }: { sessionId: string; counter: number; now: number; reusedAfter: number; audit: AuditEntry },
): Promise<RefreshOutcome> {
  // A session that is over has nothing to end: no transaction, no notification.
  const [last] = await database.query(
    'SELECT account_id, ip, user_agent FROM sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > $2',
    [sessionId, now],
  )
  if (last === undefined) return { kind: 'refused' }
  const mark = randomId()
  const entry: AuditEntry = {
    ...audit,
    event: 'refresh_token_reused',
    accountId: String(last.account_id),
    sessionId,
    detail: { last_ip: last.ip ?? null, last_user_agent: last.user_agent ?? null },
  }
  const [ended = []] = await database.transaction(
    [
      {
        sql: `UPDATE sessions SET ended_at = $3, end_reason = 'reused', ended_by = $5
              WHERE id = $1 AND ended_at IS NULL AND expires_at > $3
                AND (counter > $2 OR (counter = $2 AND rotated_at < $4)) RETURNING id`,
        params: [sessionId, counter + 1, now, now - reusedAfter, mark],
      },
      ...revokeSessionsEndedBy(mark, revocationExpiry(now)),
      auditRow(entry, now, { exists: 'SELECT 1 FROM sessions WHERE ended_by = $1', params: [mark] }),
    ],
    REVOCATIONS,
  )
  return { kind: ended.length === 0 ? 'refused' : 'reused' }
}

function refreshed(kind: 'rotated' | 'repeated', row: Row): RefreshOutcome {
  if (row.status !== 'active') return { kind: 'refused' }
  return {
    kind,
    session: {
      id: String(row.id),
      clientId: String(row.client_id),
      scope: String(row.scope),
      createdAt: Number(row.created_at),
      counter: Number(row.counter),
      rotatedAt: Number(row.rotated_at),
    },
    subject: toTokenSubject(row, String(row.account_id)),
  }
}

function toTokenSubject(row: Row, accountId: string): TokenSubject {
  return { accountId, roles: JSON.parse(String(row.roles)), tokenVersion: Number(row.token_version) }
}

function toSession(row: Row): Session {
  return {
    id: String(row.id),
    accountId: String(row.account_id),
    clientId: String(row.client_id),
    scope: String(row.scope),
    createdAt: Number(row.created_at),
    lastUsedAt: Number(row.last_used_at),
    expiresAt: Number(row.expires_at),
    ip: row.ip === null ? null : String(row.ip),
    userAgent: row.user_agent === null ? null : String(row.user_agent),
  }
}
