import type { Database, Row, SqlValue } from '../db/database.ts'
import type { Cursor } from '../http/paging.ts'
import type { AuditTrail, TrailEvent, TrailFilter } from './audit-trail.ts'

/** Rows that one page looks at: some 10 ms of the store. */
const MAX_ROWS_LOOKED_AT = 5000
const COLUMNS = 'id, at, event, account_id, session_id, actor_id, ip, user_agent, request_id, detail'

export function createAuditTrailStore(database: Database): AuditTrail {
  return {
    async page(filter, { after, limit }) {
      const rows = indexed(filter, after)
      const others = unindexed(filter, rows.params.length)
      const all = { sql: rows.sql, params: [...rows.params, ...others.params] }
      const lookedTo = others.sql === '' ? undefined : await lastLookedAt(database, rows)
      if (lookedTo !== undefined) {
        const [at, id] = [all.params.push(lookedTo.createdAt), all.params.push(lookedTo.id)]
        all.sql += ` AND (at < $${at} OR (at = $${at} AND id <= $${id}))`
      }
      const found = await database.query(
        `SELECT ${COLUMNS} FROM audit_events WHERE ${all.sql}${others.sql}
         ORDER BY at, id LIMIT $${all.params.length + 1}`,
        [...all.params, limit],
      )
      return { events: found.map(toEvent), lookedTo }
    },
  }
}

interface Condition {
  sql: string
  readonly params: SqlValue[]
}

/** The part of a filter that an index answers: time, and account. */
function indexed({ accountId, from = 0, to }: TrailFilter, after: Cursor | undefined): Condition {
  const params: SqlValue[] = [Math.max(from, after?.createdAt ?? 0)]
  const conditions = ['at >= $1']
  const add = (condition: (n: string) => string, value: SqlValue | undefined) => {
    if (value !== undefined) conditions.push(condition(`$${params.push(value)}`))
  }
  if (after !== undefined && after.createdAt >= from) add((n) => `(at > $1 OR id > ${n})`, after.id)
  add((n) => `at < ${n}`, to)
  add((n) => `account_id = ${n}`, accountId)
  return { sql: conditions.join(' AND '), params }
}

/** The part of a filter that rows are read for. @param before parameters that are used already */
function unindexed({ sessionId, event, actorId, clientId, ip }: TrailFilter, before: number): Condition {
  const values = { session_id: sessionId, event, actor_id: actorId, ip }
  const params: SqlValue[] = []
  let sql = ''
  for (const [column, value] of Object.entries(values))
    if (value !== undefined) sql += ` AND ${column} = $${before + params.push(value)}`
  if (clientId !== undefined) {
    const text = JSON.stringify({ client_id: clientId }).slice(1, -1)
    sql += ` AND detail LIKE $${before + params.push(`%${text.replace(/[\\%_]/g, '\\$&')}%`)} ESCAPE '\\'`
  }
  return { sql, params }
}

/** The last row that may be looked at, when there are so many. */
async function lastLookedAt(database: Database, { sql, params }: Condition): Promise<Cursor | undefined> {
  const [row] = await database.query(
    `SELECT id, at FROM audit_events WHERE ${sql} ORDER BY at, id LIMIT 1 OFFSET ${MAX_ROWS_LOOKED_AT - 1}`,
    params,
  )
  return row && { id: String(row.id), createdAt: Number(row.at) }
}

const textOrNull = (value: SqlValue | undefined) => (value === null || value === undefined ? null : String(value))

function toEvent(row: Row): TrailEvent {
  return {
    id: String(row.id),
    createdAt: Number(row.at),
    event: String(row.event),
    accountId: textOrNull(row.account_id),
    sessionId: textOrNull(row.session_id),
    actorId: textOrNull(row.actor_id),
    ip: textOrNull(row.ip),
    userAgent: textOrNull(row.user_agent),
    requestId: textOrNull(row.request_id),
    detail: JSON.parse(String(row.detail)),
  }
}
