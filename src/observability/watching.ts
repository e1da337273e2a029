import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import type { Traces } from './traces.ts'
import type { Watch } from './watch.ts'

/** What the settings ask for: metrics, traces, both or nothing. Nothing is loaded that nobody asked for. */
export interface Watching {
  /** For buildApp. */
  readonly parts: { readonly watch?: Watch; readonly traces?: Traces['plugin'] }
  close(): Promise<void>
}

/** @throws OperatorError when the port of the metrics can't be taken, or the packages for traces are not installed */
export async function startWatching(config: Config, logger: Logger): Promise<Watching> {
  const traces = config.TRACES ? await (await import('./traces.ts')).startTraces() : undefined
  const metrics =
    config.METRICS_PORT === undefined ? undefined : await serveMetrics(config.METRICS_PORT, config, logger)
  return {
    parts: { ...(metrics && { watch: metrics.watch }), ...(traces && { traces: traces.plugin }) },
    async close() {
      await Promise.all([metrics?.close(), traces?.close()])
    },
  }
}

async function serveMetrics(port: number, { METRICS_HOST: host }: Config, logger: Logger) {
  const { createMetrics } = await import('./metrics.ts')
  const { listenMetrics } = await import('./metrics-server.ts')
  const watch = createMetrics()
  const report = (err: unknown) => logger.error({ err }, 'the metrics can not be read')
  const { url, close } = await listenMetrics({ host, port, page: watch.registry, report })
  logger.info(`metrics at ${url}`)
  return { watch, close }
}
