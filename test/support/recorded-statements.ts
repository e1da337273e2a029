import type { Database, Statement } from '../../src/db/database.ts'

/** Records every statement from now on. @returns the statements, and the database without the recorder */
export function recordStatements(database: Database): { asked: Statement[]; query: Database['query'] } {
  const asked: Statement[] = []
  const query = database.query.bind(database)
  const transaction = database.transaction.bind(database)
  database.query = (sql, params = []) => {
    asked.push({ sql, params })
    return query(sql, params)
  }
  database.transaction = (statements, notify) => {
    asked.push(...statements)
    return transaction(statements, notify)
  }
  return { asked, query }
}
