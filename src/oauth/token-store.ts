import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database } from '../db/database.ts'
import { revocationExpiry } from '../revocations/revocation.ts'
import { REVOCATIONS, revokeToken } from '../revocations/revocation-store.ts'

export interface TokenStore {
  /** Revokes one access token, and writes the audit row. */
  revoke(jti: string, now: number, audit: AuditEntry): Promise<void>
}

export function createTokenStore(database: Database): TokenStore {
  return {
    async revoke(jti, now, audit) {
      await database.transaction([auditRow(audit, now), ...revokeToken(jti, revocationExpiry(now))], REVOCATIONS)
    },
  }
}
