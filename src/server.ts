import closeWithGrace from 'close-with-grace'
import { createAuditStore } from './audit/audit-store.ts'
import type { Config } from './config/config.ts'
import { startObservability } from './observability/start-observability.ts'
import { keepCompiledCode } from './process/compiled-code.ts'
import { explain } from './process/explain.ts'
import { keysFolder, prepareState, readSettings, startLogger } from './process/prepare.ts'
import { reportKeys } from './process/report-keys.ts'
import { keepTickShape } from './process/tick-shape.ts'

try {
  void keepTickShape()
  keepCompiledCode()
  const config = await readSettings()
  if (config.WORKERS === 1) await startAlone(config)
  else await (await import('./cluster/primary.ts')).startPrimary(config) // nothing that one process needs to load
} catch (error) {
  process.stderr.write(explain(error))
  process.exit(1)
}

async function startAlone(config: Config): Promise<void> {
  const logger = await startLogger(config)
  const folder = await keysFolder(config)
  // The thread of the store starts while the code of the app is loaded: together they are a good part of the boot.
  const [database, { announce, closingTime, openKeyring, serve }] = await Promise.all([
    prepareState(config, folder, logger),
    import('./process/serve.ts'),
  ])
  const keyring = await openKeyring(config, folder, reportKeys(logger, createAuditStore(database)))
  const observability = await startObservability(config, logger)
  const close = await serve({ config, logger, folder, database, keyring, observability })
  announce(logger, config)

  // SIGTERM and Ctrl-C let requests in flight finish, then close the store. A second signal exits at once.
  closeWithGrace({ delay: closingTime(config), logger, skip: ['SIGHUP'] }, async ({ signal, err }) => {
    if (err) logger.fatal({ err }, 'closing after an error nobody caught')
    else logger.info({ signal }, 'closing: requests in flight finish first')
    await close({ atOnce: err !== undefined })
    logger.info('closed')
  })
}
