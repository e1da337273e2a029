import type { Database, Statement } from '../db/database.ts'
import { type OnlyIf, withCondition } from '../db/only-if.ts'
import { randomId } from '../ids.ts'
import type { AuditEntry } from './audit.ts'

export interface AuditStore {
  /** Writes the row of an event that changes nothing else. */
  insert(entry: AuditEntry, now: number): Promise<void>
  /**
   * Deletes old rows.
   *
   * @param before epoch seconds: older rows are deleted
   */
  prune(before: number): Promise<void>
}

export function createAuditStore(database: Database): AuditStore {
  return {
    async insert(entry, now) {
      await database.transaction([auditRow(entry, now)])
    },
    async prune(before) {
      await database.query('DELETE FROM audit_events WHERE at < $1', [before])
    },
  }
}

/** The statement that writes the row of an event, with the event itself for the log line. */
export interface AuditRow extends Statement {
  readonly entry: AuditEntry
  /** Of the row, if it is written: a later statement of the transaction can ask for it. */
  readonly id: string
  /** Of the row, epoch seconds. */
  readonly at: number
}

export const isAuditRow = (statement: Statement): statement is AuditRow => 'entry' in statement

/**
 * The row of an event, for the transaction that makes the change.
 *
 * @param now epoch seconds
 */
export function auditRow(entry: AuditEntry, now: number, onlyIf?: OnlyIf): AuditRow {
  const { event, source, accountId = null, sessionId = null, actorId = null, detail = {} } = entry
  const { ip, userAgent, requestId } = source
  const id = randomId()
  const values = [id, now, event, accountId, sessionId, actorId, ip, userAgent, requestId, JSON.stringify(detail)]
  const types = ['TEXT', 'BIGINT', 'TEXT', 'TEXT', 'TEXT', 'TEXT', 'TEXT', 'TEXT', 'TEXT', 'TEXT']
  const casts = types.map((type, index) => `CAST($${index + 1} AS ${type})`).join(', ')
  const { condition, params } = withCondition(values, onlyIf)
  return {
    entry,
    id,
    at: now,
    sql: `INSERT INTO audit_events (id, at, event, account_id, session_id, actor_id, ip, user_agent, request_id, detail)
          SELECT ${casts} WHERE ${condition} RETURNING id`,
    params,
  }
}
