import type { Clock } from '../clock.ts'
import type { App } from '../http/app-type.ts'
import type { AuditStore } from './audit-store.ts'

const EVERY = 15 * 60 * 1000 // milliseconds
/** Milliseconds between two sweeps of what lies in memory. */
const SWEEP = 60_000
/** Seconds for which a session that is over stays in the store, for whoever looks into an incident. */
const KEPT = 86_400

interface Parts {
  readonly sessions: { deleteOver(before: number): Promise<void> }
  readonly revocations: { deleteExpired(now: number): Promise<void> }
  readonly clients: { deleteExpired(now: number): Promise<void> }
  readonly trail: AuditStore
  /** Verified tokens: swept of those that are over. */
  readonly cache: { sweep(deadline: number): void }
  /** Seconds two clocks may differ. */
  readonly skew: number
  /** Seconds. */
  readonly retention: number
  readonly now: Clock
}

/** Deletes by age what nobody needs any more: sessions that are over, revocations with nothing left to hit, assertions and secrets of clients, old audit rows; and verified tokens that are over. */
export function registerMaintenance(
  app: App,
  { sessions, revocations, clients, trail, cache, skew, retention, now }: Parts,
): void {
  const sweep = async () => {
    try {
      await sessions.deleteOver(now() - KEPT)
      await revocations.deleteExpired(now())
      await clients.deleteExpired(now())
      await trail.prune(now() - retention)
    } catch (error) {
      app.log.warn({ err: error }, 'maintenance was put off: the store can not be reached')
    }
  }
  const timers = [setInterval(sweep, EVERY), setInterval(() => cache.sweep(now() - skew), SWEEP)]
  for (const timer of timers) timer.unref()
  app.addHook('onClose', async () => timers.forEach(clearInterval))
}
