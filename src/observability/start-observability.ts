import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { Collected } from './aggregate-metrics.ts'
import type { Instrumentation } from './instrumentation.ts'
import type { Page } from './metrics-server.ts'
import type { Traces } from './traces.ts'

/** What the settings ask for: metrics, traces, both or none. Only what they ask for is loaded. */
export interface Observability {
  /** For buildApp. */
  readonly parts: { readonly instrumentation?: Instrumentation; readonly traces?: Traces['plugin'] }
  close(): Promise<void>
}

/** @throws OperatorError when the port of the metrics can't be taken, or the packages for traces are not installed */
export async function startObservability(config: Config, logger: Logger): Promise<Observability> {
  const traces = await tracesOf(config)
  const metrics = config.METRICS_PORT === undefined ? undefined : (await import('./metrics.ts')).createMetrics()
  const page = metrics && (await serveMetrics(config, metrics.registry, logger))
  return {
    parts: { ...(metrics && { instrumentation: metrics }), ...(traces && { traces: traces.plugin }) },
    async close() {
      await Promise.all([page?.close(), traces?.close()])
    },
  }
}

/** The same for a worker. The primary alone has the port of the metrics, and collects those of its workers. */
export async function startWorkerObservability(
  config: Config,
): Promise<Observability & { collect(): Promise<Collected> }> {
  const traces = await tracesOf(config)
  const metrics = config.METRICS_PORT === undefined ? undefined : (await import('./metrics.ts')).createMetrics()
  return {
    parts: { ...(metrics && { instrumentation: metrics }), ...(traces && { traces: traces.plugin }) },
    collect: async () => (await metrics?.registry.getMetricsAsJSON()) ?? [],
    close: async () => traces?.close(),
  }
}

/** @throws OperatorError when the port can't be taken */
export async function serveMetrics(config: Config, page: Page, logger: Logger): Promise<{ close(): Promise<void> }> {
  const { METRICS_HOST: host, METRICS_PORT: port = 0 } = config
  const { listenMetrics } = await import('./metrics-server.ts')
  const report = (err: unknown) => logger.error({ err }, 'the metrics can not be read')
  const { url, close } = await listenMetrics({ host, port, page, report })
  logger.info(`metrics at ${url}`)
  return { close }
}

async function tracesOf({ TRACES }: Config): Promise<Traces | undefined> {
  return TRACES ? (await import('./traces.ts')).startTraces() : undefined
}
