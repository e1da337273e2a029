import type { Database } from '../db/database.ts'
import type { AuditLog } from './audit.ts'
import { isAuditRow } from './audit-store.ts'

/**
 * The same database; every audit row that it commits is a log line too. A row and its line can't be forgotten one without the
 * other, and an event that was rolled back, or whose condition did not hold, is in neither.
 */
export function auditedDatabase(database: Database, log: AuditLog): Database {
  return {
    engine: database.engine,
    query: (sql, params) => database.query(sql, params),
    async transaction(statements, notify) {
      const results = await database.transaction(statements, notify)
      for (const [index, statement] of statements.entries())
        if (isAuditRow(statement) && results[index]?.length === 1) log(statement.entry)
      return results
    },
    listen: (channel, onChange) => database.listen(channel, onChange),
    waiting: () => database.waiting(),
    close: () => database.close(),
  }
}
