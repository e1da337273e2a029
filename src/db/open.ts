import type { Database } from './database.ts'
import type { PostgresSettings } from './postgres-settings.ts'
import { openSqlite } from './sqlite.ts'

export type DatabaseSettings = PostgresSettings

/**
 * Opens the database that the settings name.
 *
 * @throws OperatorError when it can't be opened
 */
export async function openDatabase(settings: DatabaseSettings): Promise<Database> {
  const url = settings.DATABASE_URL
  if (!/^postgres(ql)?:/.test(url)) return openSqlite(url.replace(/^sqlite:(\/\/(?=\/))?/, ''))
  const { openPostgres } = await import('./postgres.ts') // a server on SQLite does not load `pg`
  return openPostgres(settings)
}
