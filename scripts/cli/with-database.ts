import { systemClock } from '../../src/clock.ts'
import { type Config, loadConfig } from '../../src/config/config.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openDatabase } from '../../src/db/open.ts'
import { OperatorError } from '../../src/errors/app-error.ts'
import { actAsOwnerOfDatabase } from './act-as-owner.ts'
import type { Result } from './command-line.ts'

/**
 * Runs a command on the database of the servers, which may run meanwhile.
 *
 * @param subject what the database has for this script, for the error: for example `accounts`
 * @throws OperatorError when there is no database that a script can share
 */
export async function withDatabase(
  subject: string,
  work: (database: Database, config: Config) => Promise<Result>,
): Promise<Result> {
  const config = loadConfig()
  if (config.DATABASE_URL === 'sqlite::memory:')
    throw new OperatorError(`DATABASE_URL: a database in memory has no ${subject} to work on`)
  await actAsOwnerOfDatabase(config)
  const database = await openDatabase(config)
  try {
    await migrate(database, systemClock)
    return await work(database, config)
  } finally {
    await database.close()
  }
}
