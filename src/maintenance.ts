import type { FastifyBaseLogger } from 'fastify'
import type { AuditStore } from './audit/audit-store.ts'
import type { Clock } from './clock.ts'
import type { App } from './http/app-type.ts'

/** How often expired rows are deleted from the store. */
const CLEANUP_INTERVAL_MS = 15 * 60 * 1000
/** How often expired entries are removed from the cache of verified tokens. */
const CACHE_SWEEP_INTERVAL_MS = 60_000
/** An ended session stays in the store for a day, for whoever investigates an incident. */
const KEEP_ENDED_SECONDS = 86_400

interface Stores {
  readonly sessions: { deleteOver(before: number): Promise<void> }
  readonly revocationStore: { deleteExpired(now: number): Promise<void> }
  readonly clients: { deleteExpired(now: number): Promise<void> }
  readonly auditStore: AuditStore
  readonly oneTimeTokens: { deleteExpired(now: number): Promise<void> }
  readonly outbox: { deleteOver(now: number): Promise<void> }
  /** How long audit rows are kept, in seconds. */
  readonly retention: number
  readonly now: Clock
  readonly log: Pick<FastifyBaseLogger, 'warn'>
}

/**
 * Deletes expired rows from the store at an interval: sessions that ended, revocations whose tokens have all expired,
 * used assertions and expired secrets of clients, one-time tokens, accounts that nobody confirmed, messages that left
 * or were given up, old audit rows. When the store can't be reached it logs a warning and tries again at the next
 * interval.
 *
 * @returns a function that stops it
 */
export function startMaintenance({
  sessions,
  revocationStore,
  clients,
  auditStore,
  oneTimeTokens,
  outbox,
  retention,
  now,
  log,
}: Stores): () => void {
  const sweep = async () => {
    try {
      await sessions.deleteOver(now() - KEEP_ENDED_SECONDS)
      await revocationStore.deleteExpired(now())
      await clients.deleteExpired(now())
      await oneTimeTokens.deleteExpired(now())
      await outbox.deleteOver(now())
      await auditStore.prune(now() - retention)
    } catch (error) {
      log.warn({ err: error }, 'maintenance was postponed: the store can not be reached')
    }
  }
  const timer = setInterval(sweep, CLEANUP_INTERVAL_MS).unref()
  return () => clearInterval(timer)
}

interface Parts extends Omit<Stores, 'log'> {
  /** The cache of verified tokens, from which expired ones are removed. */
  readonly cache: { sweep(deadline: number): void }
  /** Seconds by which two clocks may differ. */
  readonly skew: number
  /** False when another process deletes expired rows from the store. */
  readonly runsMaintenance: boolean
}

/**
 * Runs until the app closes: deletes expired rows from the store, unless another process does, and expired tokens from
 * this process's cache.
 */
export function registerMaintenance(app: App, { cache, skew, runsMaintenance, ...stores }: Parts): void {
  const stop = runsMaintenance ? startMaintenance({ ...stores, log: app.log }) : () => undefined
  const timer = setInterval(() => cache.sweep(stores.now() - skew), CACHE_SWEEP_INTERVAL_MS).unref()
  app.addHook('onClose', async () => {
    stop()
    clearInterval(timer)
  })
}
