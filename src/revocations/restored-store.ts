import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Statement } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { revocationExpiry } from './revocation.ts'
import { endEverything, REVOCATIONS } from './revocation-store.ts'

/** What `endRestored` ends, and how far the rows of the store go. */
export interface RestoredStore {
  readonly sessions: number
  readonly accounts: number
  readonly clients: number
  /** Epoch seconds of the newest row of the audit trail; undefined without one. */
  readonly newestAudit: number | undefined
}

/** @param now epoch seconds */
export async function lookAtRestored(database: Database, now: number): Promise<RestoredStore> {
  const [row] = await database.query(
    `SELECT (SELECT COUNT(*) FROM sessions WHERE ended_at IS NULL AND expires_at > $1) AS sessions,
       (SELECT COUNT(*) FROM accounts) AS accounts, (SELECT COUNT(*) FROM clients) AS clients,
       (SELECT MAX(at) FROM audit_events) AS newest`,
    [now],
  )
  const { sessions, accounts, clients, newest } = row ?? {}
  const newestAudit = newest == null ? undefined : Number(newest)
  return { sessions: Number(sessions), accounts: Number(accounts), clients: Number(clients), newestAudit }
}

/**
 * Ends every session of a restored store, and revokes every token of each of its accounts and clients: the store does
 * not know which of them were ended or revoked after the backup. One transaction, with its audit row.
 */
export async function endRestored(database: Database, now: number, audit: AuditEntry): Promise<void> {
  const statements: Statement[] = endEverything(now, revocationExpiry(now), randomId())
  await database.transaction([auditRow(audit, now), ...statements], REVOCATIONS)
}
