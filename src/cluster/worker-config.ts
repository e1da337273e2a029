import type { Config } from '../config/config.ts'

/** Settings that limit the server as a whole, where each process can count only for itself. */
const SHARED = [
  'MAX_CONNECTIONS',
  'PASSWORD_QUEUE',
  'FEED_MAX_WAITERS',
  'DATABASE_POOL_SIZE',
  'LOAD_MAX_STORE_QUEUE',
] as const

/**
 * The settings of one worker: its share of what is allowed to all of them. A 0, which switches a limit off, stays 0.
 */
export function workerConfig(config: Config): Config {
  const shares = Object.fromEntries(SHARED.map((name) => [name, Math.ceil(config[name] / config.WORKERS)]))
  return Object.freeze({ ...config, ...shares })
}
