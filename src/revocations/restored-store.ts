import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Statement } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { raiseFloor } from './everybody-store.ts'
import { beginHistory } from './history-store.ts'
import { revocationExpiry } from './revocation.ts'
import { lasting, REVOCATIONS, UNUSED_VERSIONS, UPSERT } from './revocation-store.ts'

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
 * Ends every session of a restored store, and revokes every token of people and of its clients: the store does not know
 * which of them were ended or revoked after the backup. One transaction, with its audit row.
 */
export async function endRestored(database: Database, now: number, audit: AuditEntry): Promise<void> {
  const statements: Statement[] = endEverything(now, revocationExpiry(now), randomId())
  await database.transaction([auditRow(audit, now), ...statements], REVOCATIONS)
}

/** Seconds: these statements touch every row. */
const WHOLE_STORE_TIMEOUT = 600

/**
 * Ends every session, and revokes every token of people and of each client in the store. A restored store is behind:
 * the versions and numbers that it gives next were given before. So they go on with ones that never were, in a new
 * history.
 */
function endEverything(now: number, expiresAt: number, mark: string): Statement[] {
  const statements: Statement[] = [
    { sql: `UPDATE clients SET token_version = token_version + ${UNUSED_VERSIONS}, changed_by = $1`, params: [mark] },
    {
      sql: `UPDATE sessions SET ended_at = $1, end_reason = 'restored', ended_by = $2 WHERE ended_at IS NULL`,
      params: [now, mark],
    },
    ...beginHistory(),
    raiseFloor(now, UNUSED_VERSIONS),
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'client', c.id, c.token_version, h.seq, ${lasting('$2')}
            FROM clients c CROSS JOIN revocation_head h WHERE c.changed_by = $1 ${UPSERT}`,
      params: [mark, expiresAt],
    },
  ]
  return statements.map((statement) => ({ ...statement, timeout: WHOLE_STORE_TIMEOUT }))
}
