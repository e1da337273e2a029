import type { FastifyBaseLogger } from 'fastify'
import type { AuditStore } from './audit/audit-store.ts'
import type { Clock } from './clock.ts'
import type { App } from './http/app-type.ts'

/** Between two looks for what is over in the store. */
const CLEANUP_INTERVAL_MS = 15 * 60 * 1000
/** Between two sweeps of what lies in memory. */
const CACHE_SWEEP_INTERVAL_MS = 60_000
/** For so long a session that is over stays in the store, for whoever looks into an incident. */
const KEEP_ENDED_SECONDS = 86_400

interface Stores {
  readonly sessions: { deleteOver(before: number): Promise<void> }
  readonly revocationStore: { deleteExpired(now: number): Promise<void> }
  readonly clients: { deleteExpired(now: number): Promise<void> }
  readonly auditStore: AuditStore
  /** Seconds. */
  readonly retention: number
  readonly now: Clock
  readonly log: Pick<FastifyBaseLogger, 'warn'>
}

/**
 * Deletes by age what nobody needs any more in the store: sessions that are over, revocations with nothing left to hit, assertions
 * and secrets of clients, old audit rows.
 *
 * @returns a function that stops it
 */
export function startMaintenance({
  sessions,
  revocationStore,
  clients,
  auditStore,
  retention,
  now,
  log,
}: Stores): () => void {
  const sweep = async () => {
    try {
      await sessions.deleteOver(now() - KEEP_ENDED_SECONDS)
      await revocationStore.deleteExpired(now())
      await clients.deleteExpired(now())
      await auditStore.prune(now() - retention)
    } catch (error) {
      log.warn({ err: error }, 'maintenance was put off: the store can not be reached')
    }
  }
  const timer = setInterval(sweep, CLEANUP_INTERVAL_MS).unref()
  return () => clearInterval(timer)
}

interface Parts extends Omit<Stores, 'log'> {
  /** Verified tokens: swept of those that are over. */
  readonly cache: { sweep(deadline: number): void }
  /** Seconds two clocks may differ. */
  readonly skew: number
  /** False where another process keeps the store clean. */
  readonly runsMaintenance: boolean
}

/** While the app lives: the store, unless somebody else sees to it, and this process' verified tokens that are over. */
export function registerMaintenance(app: App, { cache, skew, runsMaintenance, ...stores }: Parts): void {
  const stop = runsMaintenance ? startMaintenance({ ...stores, log: app.log }) : () => undefined
  const timer = setInterval(() => cache.sweep(stores.now() - skew), CACHE_SWEEP_INTERVAL_MS).unref()
  app.addHook('onClose', async () => {
    stop()
    clearInterval(timer)
  })
}
