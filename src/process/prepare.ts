import { createServer } from 'node:net'
import type { Logger } from 'pino'
import { systemClock } from '../clock.ts'
import { type Config, loadConfig } from '../config/config.ts'
import type { Database } from '../db/database.ts'
import { migrate } from '../db/migrate.ts'
import { openDatabase } from '../db/open.ts'
import { OperatorError } from '../errors/app-error.ts'
import { makeFirstKey } from '../keys/change-keyring.ts'
import { type KeysFolder, readPassphrase } from '../keys/keys-folder.ts'
import { createLogger } from '../observability/logger.ts'

/** The settings, with a free port in the place of PORT=0: the issuer holds the port, so it has to be known before anything else. */
export async function readSettings(): Promise<Config> {
  const asked = loadConfig()
  return asked.PORT === 0 ? loadConfig({ port: await freePort(asked.HOST) }) : asked
}

export function startLogger({ LOG_LEVEL, NODE_ENV }: Config): Promise<Logger> {
  const readable = NODE_ENV !== 'production' && process.stdout.isTTY === true
  return createLogger({ level: LOG_LEVEL, readable })
}

export async function keysFolder(config: Config): Promise<KeysFolder> {
  return { dir: config.KEYS_DIR, passphrase: await readPassphrase(config.KEY_PASSPHRASE_FILE) }
}

/** What happens once before any process serves: the first key, where one may be made, and the tables. */
export async function prepareState(config: Config, folder: KeysFolder, logger: Logger): Promise<Database> {
  if (config.NODE_ENV !== 'production') {
    const kid = await makeFirstKey(folder, systemClock)
    if (kid !== undefined) logger.info({ kid, dir: folder.dir }, 'made the first signing key')
  }
  const database = await openDatabase(config)
  for (const { version, name } of await migrate(database, systemClock))
    logger.info({ version, name }, 'database migrated')
  return database
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
