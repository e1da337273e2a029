import { createServer } from 'node:net'
import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import { systemClock } from './clock.ts'
import { type Config, loadConfig } from './config.ts'
import type { Database } from './db/database.ts'
import { migrate } from './db/migrate.ts'
import { openDatabase } from './db/open.ts'
import { OperatorError } from './errors.ts'
import type { App } from './http/app-type.ts'
import { makeFirstKey } from './keys/change-keyring.ts'
import { followKeys } from './keys/follow-keys.ts'
import { phase } from './keys/keyring.ts'
import { readPassphrase } from './keys/keys-folder.ts'
import { type LiveKeyringOptions, openLiveKeyring } from './keys/live-keyring.ts'
import { keyTiming } from './keys/rotation.ts'
import { type AuditStore, createAuditStore } from './observability/audit-store.ts'
import { createLogger } from './observability/logger.ts'
import { startWatching, type Watching } from './observability/watching.ts'

/** Milliseconds that requests in flight get to finish. */
const DRAIN = 10_000

try {
  await start()
} catch (error) {
  // Exactly one line about what, where and what to do; a stack trace only for what we did not foresee.
  const foreseen = error instanceof OperatorError
  process.stderr.write(`signet: error: ${foreseen ? error.message : (error as Error).stack}\n`)
  if (foreseen && error.hint) process.stderr.write(`hint: ${error.hint}\n`)
  process.exit(1)
}

async function start(): Promise<void> {
  const asked = loadConfig()
  const config = asked.PORT === 0 ? loadConfig({ port: await freePort(asked.HOST) }) : asked
  const logger = await createLogger({
    level: config.LOG_LEVEL,
    readable: config.NODE_ENV !== 'production' && process.stdout.isTTY === true,
  })

  const folder = { dir: config.KEYS_DIR, passphrase: await readPassphrase(config.KEY_PASSPHRASE_FILE) }
  if (config.NODE_ENV !== 'production') {
    const kid = await makeFirstKey(folder, systemClock)
    if (kid !== undefined) logger.info({ kid, dir: folder.dir }, 'made the first signing key')
  }
  const database = await openDatabase(config)
  for (const { version, name } of await migrate(database, systemClock))
    logger.info({ version, name }, 'database migrated')

  const keyring = await openLiveKeyring({
    folder,
    timing: keyTiming(config),
    ttl: config.ACCESS_TOKEN_TTL,
    now: systemClock,
    report: reportKeys(logger, createAuditStore(database)),
  })

  const watching = await startWatching(config, logger)
  const app = await buildApp({ config, database, keyring, logger, ...watching.parts })
  await listen(app, config)
  const unfollow = followKeys(folder, keyring.reload)
  process.on('SIGHUP', keyring.reload)
  closeOnSignals({ app, database, unfollow, watching })
}

/** The log of an operator at night: which keys are in force now, or why the folder was left alone. */
function reportKeys(logger: Logger, trail: AuditStore): LiveKeyringOptions['report'] {
  return (event) => {
    if ('unusable' in event) {
      logger.error(
        { reason: event.unusable.message },
        'the keys folder can not be used: the keyring from before stays in force',
      )
      return
    }
    const now = systemClock()
    const keys = event.changed.map((entry) => `${entry.kid} ${phase(entry, now)}`)
    logger.info({ event: 'keys_changed', keys }, 'the keyring changed')
    const origin = { ip: null, userAgent: null, requestId: null }
    trail
      .insert({ event: 'keys_changed', origin, detail: { keys } }, now)
      .catch((err) => logger.error({ err }, 'no audit row for the change of keys'))
  }
}

async function listen(app: App, { HOST, PORT, ISSUER }: Config): Promise<void> {
  try {
    await app.listen({ host: HOST, port: PORT, listenTextResolver: (address) => `listening at ${address}` })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const inUse = code === 'EADDRINUSE'
    throw new OperatorError(
      inUse ? `PORT: ${PORT} on ${HOST} is in use` : `HOST, PORT: can't listen on ${HOST}:${PORT}: ${code}`,
      {
        cause,
        hint: inUse
          ? 'stop the other program, or set PORT (0 takes a free one)'
          : 'HOST must be an address of this machine, and PORT one that this user may take',
      },
    )
  }
  app.log.info({ issuer: ISSUER }, `docs at http://${HOST.includes(':') ? `[${HOST}]` : HOST}:${PORT}/docs`)
}

interface Running {
  readonly app: App
  readonly database: Database
  readonly unfollow: () => void
  readonly watching: Watching
}

/** SIGTERM and Ctrl-C let requests in flight finish, then close the store. A second signal exits at once. */
function closeOnSignals({ app, database, unfollow, watching }: Running): void {
  closeWithGrace({ delay: DRAIN, logger: app.log, skip: ['SIGHUP'] }, async ({ signal, err }) => {
    if (err) app.log.fatal({ err }, 'closing after an error nobody caught')
    else app.log.info({ signal }, 'closing: requests in flight finish first')
    unfollow()
    await app.close()
    await database.close()
    await watching.close()
    app.log.info('closed')
  })
}

/** PORT=0: the issuer holds the port, so it has to be known before the app is built. */
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
