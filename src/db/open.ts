import type { Database } from './database.ts'
import type { Route } from './postgres-session.ts'
import type { PostgresSettings } from './postgres-settings.ts'
import { openSqlite } from './sqlite.ts'

export type DatabaseSettings = PostgresSettings

/**
 * Opens the database that the settings name.
 *
 * @param onRoute called when connections to PostgreSQL lead through a connection pooler, and at each change of that
 * @throws OperatorError when it can't be opened
 */
export async function openDatabase(settings: DatabaseSettings, onRoute?: (route: Route) => void): Promise<Database> {
  const path = sqlitePath(settings.DATABASE_URL)
  if (path !== undefined) return openSqlite(path)
  const { openPostgres } = await import('./postgres.ts') // a server on SQLite does not load `pg`
  return openPostgres(settings, onRoute)
}

/** The file of an SQLite database, or `:memory:`; undefined for PostgreSQL. */
export function sqlitePath(url: string): string | undefined {
  return /^postgres(ql)?:/.test(url) ? undefined : url.replace(/^sqlite:(\/\/(?=\/))?/, '')
}
