import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'

/** How long requests in flight may take to finish. */
const DRAIN_MS = 10_000

export interface ShutdownOptions {
  readonly config: Config
  readonly logger: Logger
  /** Signals that are handled elsewhere. SIGHUP is always skipped: it reloads the keys. */
  readonly skip?: readonly ('SIGINT' | 'SIGTERM')[]
  /** True for a worker: its primary logs the shutdown for all. */
  readonly quiet?: boolean
}

/**
 * SIGTERM and Ctrl-C call `close`, which lets requests in flight finish. An uncaught error calls it with `atOnce`. A
 * second signal ends the process at once; so does the end of SHUTDOWN_DELAY plus ten seconds.
 *
 * @returns an object whose `close` begins the shutdown without a signal
 */
export function onShutdown(
  { config, logger, skip = [], quiet = false }: ShutdownOptions,
  close: (how: { atOnce: boolean }) => Promise<void>,
): { close(): void } {
  const delay = config.SHUTDOWN_DELAY * 1000 + DRAIN_MS
  return closeWithGrace({ delay, logger, skip: ['SIGHUP', ...skip] }, async ({ signal, err }) => {
    if (err) logger.fatal({ err }, 'closing after an uncaught error')
    else if (!quiet) logger.info({ signal }, 'closing: requests in flight finish first')
    await close({ atOnce: err !== undefined })
    if (!quiet) logger.info('closed')
  })
}
