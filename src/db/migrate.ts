import type { Clock } from '../clock.ts'
import { AppError, OperatorError } from '../errors/app-error.ts'
import type { Database, Statement } from './database.ts'
import type { Migration } from './migration.ts'
import { MIGRATIONS } from './migrations.ts'

const HISTORY = `CREATE TABLE IF NOT EXISTS schema_migrations (
  version    BIGINT PRIMARY KEY,
  name       TEXT   NOT NULL,
  applied_at BIGINT NOT NULL
)`

/** Long enough for a step on a large database, or for the wait while another node runs that step. */
const STEP_TIMEOUT_SECONDS = 600
/** Any number that no other program uses for an advisory lock on the same database: "signet" in ASCII. */
const MIGRATION_LOCK_ID = 0x736967_6e6574

/**
 * Brings the tables up to date, each step once and in a transaction of its own.
 *
 * Several processes may do this at once. SQLite allows one write at a time, and on PostgreSQL every step takes the same
 * lock. A step begins by inserting its version number, so the second process fails on the primary key, looks again and
 * finds the step done.
 *
 * @returns the steps that this call applied
 * @throws OperatorError when the database was written by a newer version of this program, when its user may not change
 *   tables, or when the database can't be used meanwhile
 */
export async function migrate(database: Database, now: Clock, migrations = MIGRATIONS): Promise<Migration[]> {
  try {
    return await bringUpToDate(database, now, migrations)
  } catch (error) {
    throw foreseen(error) ?? error
  }
}

async function bringUpToDate(database: Database, now: Clock, migrations: readonly Migration[]): Promise<Migration[]> {
  const applied: Migration[] = []
  await step(database, [{ sql: HISTORY }])
  for (const migration of migrations) {
    if ((await currentVersion(database)) >= migration.version) continue
    const { version, name, statements } = migration
    const record = {
      sql: 'INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1, $2, $3)',
      params: [version, name, now()],
    }
    try {
      await step(database, [record, ...statements.map((sql) => ({ sql }))])
      applied.push(migration)
    } catch (error) {
      if ((await currentVersion(database)) < version) throw error
    }
  }
  const known = migrations.at(-1)?.version ?? 0
  const found = await currentVersion(database)
  if (found > known) {
    throw new OperatorError(`the database is at version ${found}, and this Signet knows only ${known}`, {
      hint: 'start the newer Signet that wrote it, or restore a backup',
    })
  }
  return applied
}

/** SQLSTATE insufficient_privilege. Since PostgreSQL 15 a user may not create tables in `public` by default. */
const NO_RIGHT = '42501'

function foreseen(error: unknown): OperatorError | undefined {
  if (error instanceof AppError && error.code === 'store_unavailable') {
    return new OperatorError(`DATABASE_URL: the database can't bring its tables up to date now: ${error.message}`, {
      cause: error,
      hint: 'start again when it is back: every step is done whole or not at all',
    })
  }
  const { message, sqlState } = error as Error & { sqlState?: string }
  if (sqlState !== NO_RIGHT) return undefined
  return new OperatorError(`DATABASE_URL: this user may not make or change the tables: ${message}`, {
    cause: error,
    hint: 'GRANT CREATE, USAGE ON SCHEMA public TO the user, who must own the tables that are there already',
  })
}

async function step(database: Database, statements: readonly Statement[]): Promise<void> {
  // Without the lock, two `CREATE TABLE IF NOT EXISTS` at the same time can both find no table, and one of them fails.
  const lock = { sql: 'SELECT pg_advisory_xact_lock($1)', params: [MIGRATION_LOCK_ID] }
  const locked = database.engine === 'postgres' ? [lock, ...statements] : statements
  await database.transaction(locked.map((statement) => ({ ...statement, timeout: STEP_TIMEOUT_SECONDS })))
}

async function currentVersion(database: Database): Promise<number> {
  const [row] = await database.query<{ version: number | null }>(
    'SELECT MAX(version) AS version FROM schema_migrations',
  )
  return Number(row?.version ?? 0)
}
