/**
 * One process from start to end: boot, listening, shutdown, and the tuning of Node. What several processes need in
 * addition belongs to `cluster/`; what the server is made of is in `parts.ts` and `app.ts`.
 */

import { createServer } from 'node:net'
import type { Logger } from 'pino'
import { bringEmailsToOneForm } from '../accounts/one-email-form-store.ts'
import { createAuditStore } from '../audit/audit-store.ts'
import { systemClock } from '../clock.ts'
import { type Config, loadConfig } from '../config/config.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { openDatabase } from '../db/open.ts'
import type { Route } from '../db/postgres-session.ts'
import { OperatorError } from '../errors/app-error.ts'
import { makeFirstKey } from '../keys/change-keyring.ts'
import type { KeysFolder } from '../keys/keys-folder.ts'
import { type LiveKeyring, openLiveKeyring } from '../keys/live-keyring.ts'
import { readPassphrase } from '../keys/passphrase.ts'
import { createRevokedKeyStore } from '../keys/revoked-key-store.ts'
import { keyTiming } from '../keys/rotation.ts'
import { createLogger } from '../observability/logger.ts'
import { reportKeys } from './report-keys.ts'

/** What every process of a server needs, whether it is the only one, the primary or a worker. */
export interface Booted {
  readonly config: Config
  readonly logger: Logger
  readonly folder: KeysFolder
  readonly database: Database
  readonly keyring: LiveKeyring
}

export interface BootOptions {
  readonly openStore: (config: Config, folder: KeysFolder, logger: Logger) => Promise<Database>
  /** True for the one process that logs changes of the keyring and writes their audit rows. */
  readonly reportsKeys: boolean
}

/**
 * Makes the logger, opens the store and loads the keyring.
 *
 * @throws OperatorError for faults that an operator can fix: keys, passphrase, database
 */
export async function boot(config: Config, { openStore, reportsKeys }: BootOptions): Promise<Booted> {
  const readable = config.NODE_ENV !== 'production' && process.stdout.isTTY === true
  const logger = await createLogger({ level: config.LOG_LEVEL, readable })
  const folder = { dir: config.KEYS_DIR, passphrase: await readPassphrase(config.KEY_PASSPHRASE_FILE) }
  const database = await openStore(config, folder, logger)
  const keyring = await openLiveKeyring({
    folder,
    timing: keyTiming(config),
    ttl: config.ACCESS_TOKEN_TTL,
    now: systemClock,
    store: createRevokedKeyStore(database),
    report: reportsKeys ? reportKeys(logger, createAuditStore(database)) : () => undefined,
  })
  return { config, logger, folder, database, keyring }
}

/**
 * Reads the settings, and replaces PORT=0 by a free port: the issuer contains the port, so it must be known first.
 *
 * @throws OperatorError for bad settings, or a HOST that can't be listened on
 */
export async function readSettings(): Promise<Config> {
  const asked = loadConfig({ serves: true })
  return asked.PORT === 0 ? loadConfig({ serves: true, port: await freePort(asked.HOST) }) : asked
}

/**
 * Does what must happen once before any process serves, and opens the store: makes the first key (never in production),
 * and migrates the tables.
 */
export async function prepareStore(config: Config, folder: KeysFolder, logger: Logger): Promise<Database> {
  if (config.NODE_ENV !== 'production') {
    const kid = await makeFirstKey(folder, systemClock)
    if (kid !== undefined) logger.info({ kid, dir: folder.dir }, 'made the first signing key')
  }
  const database = await openDatabase(config, (route) => logger.info(ROUTE_REPORTS[route]))
  for (const { version, name } of await migrate(database, systemClock))
    logger.info({ version, name }, 'database migrated')
  await finishMigrations(database, logger)
  return database
}

const ROUTE_REPORTS = {
  pooled:
    'connections to the database lead through a connection pooler: time-outs are set in each transaction, and ' +
    'revocations of other servers and of scripts are looked for every 250 ms instead of being notified at once',
  direct:
    'connections to the database lead to PostgreSQL itself again: revocations of other servers and of scripts are ' +
    'notified at once',
} satisfies Record<Route, string>

/** The work on rows that a migration left, because SQL can't do it. */
async function finishMigrations(database: Database, logger: Logger): Promise<void> {
  const { changed = 0, collisions = [] } = (await bringEmailsToOneForm(database)) ?? {}
  if (changed > 0) logger.info({ accounts: changed }, 'emails of internationalised domains are stored in one form now')
  for (const { inOneForm, other } of collisions)
    logger.warn(
      { account_ids: [inOneForm, other] },
      'two accounts have the same email address, with the domain spelled in two ways: both are kept, and each logs in ' +
        'with its own spelling (npm run accounts -- list). Ask the owner which one to keep, let him delete the other ' +
        'one (DELETE /v1/me), and start again',
    )
}

/** Logs the line which says that everything is up, and before it what a developer would look for in vain. */
export function announce(logger: Pick<Logger, 'info' | 'warn'>, config: Config): void {
  const { HOST, PORT, ISSUER, DOCS, CORS_ORIGINS: origins = [] } = config
  const isLocalhost = (url: string) => new URL(url).hostname === 'localhost'
  if (origins.some(isLocalhost) && new URL(ISSUER).hostname === '127.0.0.1')
    logger.warn(
      { issuer: ISSUER },
      'browsers take localhost (CORS_ORIGINS) and 127.0.0.1 (ISSUER) for two sites and send no refresh cookie: set ' +
        `ISSUER=${ISSUER.replace('127.0.0.1', 'localhost')}, and use that address in the page`,
    )
  if (config.NODE_ENV === 'production' && config.MAIL_URL === undefined)
    logger.warn(
      'no message is sent: MAIL_URL is not set, so nobody can ask for a new password or confirm an address here',
    )
  const host = HOST.includes(':') ? `[${HOST}]` : HOST
  const origin = `http://${host}:${PORT}`
  logger.info({ issuer: ISSUER }, DOCS === 'on' ? `docs at ${origin}/docs` : `ready at ${origin}`)
}

function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (cause: NodeJS.ErrnoException) =>
      reject(new OperatorError(`HOST: can't listen on ${host}: ${cause.code}`, { cause })),
    )
    probe.listen(0, host, () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })
}
