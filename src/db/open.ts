import type { Database } from './database.ts'
import { openSqlite } from './sqlite.ts'

/**
 * Opens the database that a DATABASE_URL names.
 *
 * @throws OperatorError when it can't be opened
 */
export function openDatabase(url: string): Promise<Database> {
  return openSqlite(url.replace(/^sqlite:(\/\/(?=\/))?/, ''))
}
