import type { Config } from './config/config.ts'
import { startObservability } from './observability/start-observability.ts'
import { announce, boot, prepareStore, readSettings } from './process/boot.ts'
import { explain } from './process/explain.ts'
import { tuneProcess } from './process/runtime-tuning.ts'
import { onShutdown } from './process/shutdown.ts'

try {
  tuneProcess()
  const config = await readSettings()
  if (config.WORKERS === 1) await startAlone(config)
  else await (await import('./cluster/primary.ts')).startPrimary(config) // a single process does not load it
} catch (error) {
  process.stderr.write(explain(error))
  process.exit(1)
}

async function startAlone(config: Config): Promise<void> {
  // The thread of the store starts while the code of the app is loaded: both take a good part of the boot.
  const [booted, { serve }] = await Promise.all([
    boot(config, { openStore: prepareStore, reportsKeys: true }),
    import('./process/serve.ts'),
  ])
  const observability = await startObservability(config, booted.logger)
  const close = await serve({ ...booted, observability })
  announce(booted.logger, config)
  onShutdown(booted, close)
}
