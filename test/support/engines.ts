import { join } from 'node:path'
import type { Test } from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import type { Database } from '../../src/db/database.ts'
import { openDatabase } from '../../src/db/open.ts'
import { temporaryFolder } from './app.ts'

export interface Engine {
  readonly name: 'sqlite' | 'postgres'
  /** The DATABASE_URL of a new, empty database that any number of nodes may open. It ends with the test. */
  url(t: Test): Promise<string>
}

/** What a store promises, it promises on each of these. */
export const ENGINES: readonly Engine[] = [
  { name: 'sqlite', url: async (t) => `sqlite:${join(await temporaryFolder(t), 'signet.db')}` },
  // Loaded when it is asked for: what tests SQLite alone needs none of it.
  { name: 'postgres', url: async (t) => (await import('./postgres.ts')).postgresUrl(t) },
]

/** Opens a database as a node does that is started with these settings. It is closed with the test. */
export async function openNode(t: Test, url: string, env: Record<string, string> = {}): Promise<Database> {
  const database = await openDatabase(loadConfig({ env: { DATABASE_URL: url, ...env } }))
  t.teardown(() => database.close())
  return database
}
