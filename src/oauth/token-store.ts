import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database } from '../db/database.ts'
import { tokenRevocationExpiry } from '../revocations/revocation.ts'
import { REVOCATIONS, revokeToken } from '../revocations/revocation-store.ts'

export interface TokenStore {
  /**
   * Revokes one access token, and writes the audit row.
   *
   * @param among for a token of a session: how many tokens of it may be revoked since an instant, this one included
   * @returns false when that many are revoked already; then nothing is changed
   */
  revoke(
    token: { jti: string; exp: number },
    now: number,
    audit: AuditEntry,
    among?: { most: number; since: number },
  ): Promise<boolean>
}

export function createTokenStore(database: Database): TokenStore {
  return {
    async revoke({ jti, exp }, now, audit, among) {
      const { accountId, sessionId } = audit
      const counts = among !== undefined && accountId !== undefined && sessionId !== undefined
      // The audit rows are counted: a revocation does not say which session its token was of. Statements see what was
      // committed before the row of `revocation_head` was locked, so two at once can't both be the last one.
      const onlyIf = counts && {
        sql: `(SELECT COUNT(*) FROM audit_events
               WHERE account_id = $3 AND at > $4 AND event = 'token_revoked' AND session_id = $5) < $6`,
        params: [accountId, among.since, sessionId, among.most],
      }
      const [, revoked = []] = await database.transaction(
        [
          ...revokeToken(jti, tokenRevocationExpiry(exp, now), onlyIf || undefined),
          auditRow(audit, now, {
            exists: "SELECT 1 FROM revocations WHERE kind = 'token' AND subject = $1",
            params: [jti],
          }),
        ],
        REVOCATIONS,
      )
      return revoked.length > 0
    },
  }
}
