import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database } from '../db/database.ts'
import { tokenRevocationExpiry } from '../revocations/revocation.ts'
import { REVOCATIONS, revokeToken } from '../revocations/revocation-store.ts'

export interface TokenStore {
  /**
   * Revokes one access token, and writes the audit row. A token that is revoked already is revoked again, without a row
   * and without being counted: its client may have asked on several connections or servers at once.
   *
   * @param among for a token of a session: how many tokens of it may be revoked since an instant, this one included
   * @returns false when that many others are revoked already; then nothing is changed
   */
  revoke(
    token: { jti: string; exp: number },
    now: number,
    audit: AuditEntry,
    among?: { most: number; since: number },
  ): Promise<boolean>
}

/** The revocation of the token `$1`. */
const REVOKED = "SELECT 1 FROM revocations WHERE kind = 'token' AND subject = $1"

export function createTokenStore(database: Database): TokenStore {
  return {
    async revoke({ jti, exp }, now, audit, among) {
      const { accountId, sessionId } = audit
      const counts = among !== undefined && accountId !== undefined && sessionId !== undefined
      // The audit rows are counted: a revocation does not say which session its token was of. Statements see what was
      // committed before the row of `revocation_head` was locked, so two at once can't both be the last one.
      const hasRoom = ` AND (SELECT COUNT(*) FROM audit_events
         WHERE account_id = $2 AND at > $3 AND event = 'token_revoked' AND session_id = $4) < $5`
      const row = auditRow(audit, now, {
        exists: `SELECT 1 WHERE NOT EXISTS (${REVOKED})${counts ? hasRoom : ''}`,
        params: [jti, ...(counts ? [accountId, among.since, sessionId, among.most] : [])],
      })
      const statements = revokeToken(jti, tokenRevocationExpiry(exp, now), {
        sql: `(EXISTS (SELECT 1 FROM audit_events WHERE id = $3) OR EXISTS (${REVOKED}))`,
        params: [row.id],
      })
      const [, , revoked = []] = await database.transaction(
        [...statements.slice(0, 1), row, ...statements.slice(1)],
        REVOCATIONS,
      )
      return revoked.length > 0
    },
  }
}
