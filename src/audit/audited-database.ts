import type { Database } from '../db/database.ts'
import type { AuditLog } from './audit.ts'
import { isAuditRow } from './audit-store.ts'

/**
 * The same database, but every audit row that it commits is also a log line. Nobody can write a row and forget its
 * line. An event that was rolled back, or whose condition was not met, appears in neither.
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
