import type { FastifyBaseLogger } from 'fastify'
import { type Clock, monotonicClock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import { FollowedRevocations, type FollowOptions, type Revocations } from './follow-revocations.ts'
import { REVOCATIONS, type RevocationStore } from './revocation-store.ts'

export interface GuardedRevocations extends Revocations {
  /** True when the set is older than the setting allows, and the policy is to refuse tokens then. */
  isTooOld(): boolean
  /** Stops following the store. */
  close(): void
}

/**
 * Loads the revocation set and keeps it complete until it is closed: at once when the store notifies, otherwise by
 * polling. Resolves when the set is loaded; the server must not take traffic before.
 *
 * @param options.maxStaleness seconds; 0 = the set is never too old
 * @throws AppError `store_unavailable` when the store can't be read
 */
export async function openGuardedRevocations(
  database: Database,
  store: RevocationStore,
  options: {
    log: Pick<FastifyBaseLogger, 'info' | 'error'>
    /** The deletion clock: by it entries expire. */
    now: Clock
    /** The clock of the machine. */
    wall: Clock
    maxStaleness: number
    policy: 'accept' | 'reject'
  },
): Promise<GuardedRevocations> {
  const { log, now, wall, maxStaleness, policy } = options
  const report: FollowOptions['report'] = (event) => {
    if ('lost' in event)
      log.error({ err: event.lost }, 'the revocations can not be read: what is withdrawn from now on is not seen here')
    else log.info('the revocations can be read again: the set is complete')
  }
  const followed = new FollowedRevocations({ store, now, monotonic: monotonicClock, wall, report })
  await followed.catchUp()
  followed.start()
  const unlisten = database.listen(REVOCATIONS, () => followed.catchUp().catch(() => undefined))
  const refuses = policy === 'reject' && maxStaleness > 0
  return Object.assign(followed, {
    isTooOld: () => refuses && followed.age() > maxStaleness,
    close() {
      unlisten()
      followed.stop()
    },
  })
}
