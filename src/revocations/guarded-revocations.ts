import type { FastifyBaseLogger } from 'fastify'
import { type Clock, monotonicClock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { FollowEvent } from './follow-event.ts'
import { FollowedRevocations, type Revocations } from './follow-revocations.ts'
import {
  MAX_STEP_BACK_SECONDS,
  NOTE_TIME_INTERVAL_SECONDS,
  REVOCATIONS,
  type RevocationStore,
} from './revocation-store.ts'
import { createWriteBack } from './write-back.ts'

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
  const writeBack = createWriteBack(database, wall, log)
  const report = (event: FollowEvent) => {
    tell(log, event)
    if ('changed' in event) writeBack.add(event.lacking)
  }
  const followed = new FollowedRevocations({ store, now, monotonic: monotonicClock, wall, report })
  await followed.catchUp()
  followed.start()
  const stopNoting = noteTimes(store, wall, log)
  const unlisten = database.listen(REVOCATIONS, () => followed.catchUp().catch(() => undefined))
  const refuses = policy === 'reject' && maxStaleness > 0
  return Object.assign(followed, {
    isTooOld: () => refuses && followed.age() > maxStaleness,
    close() {
      unlisten()
      stopNoting()
      writeBack.stop()
      followed.stop()
    },
  })
}

function tell(log: Pick<FastifyBaseLogger, 'info' | 'error'>, event: FollowEvent): void {
  if ('lost' in event)
    log.error({ err: event.lost }, 'the revocations can not be read: what is withdrawn from now on is not seen here')
  else if ('found' in event) log.info('the revocations can be read again: the set is complete')
  else if ('stuck' in event)
    log.error(
      { err: event.stuck },
      'the database went back, and a new history of its numbers can not be begun: it is tried again at each look. ' +
        'Other services may miss what is revoked until then. Is this database read-only?',
    )
  else
    log.error(
      { history: event.changed.to, history_before: event.changed.from, lacking: event.lacking.length },
      'the database went back: it lacks transactions that it had confirmed (a failover, or a restored backup). ' +
        'What was revoked here stays revoked, and is written back. Repeat what was changed just before: ' +
        'see "After a failover" in scripts/README.md',
    )
}

/**
 * Writes the time into the store, at once and then at an interval: after a step back of the clock, revocations last as
 * long as the tokens from before the step.
 *
 * @returns a function that stops it
 */
function noteTimes(store: RevocationStore, wall: Clock, log: Pick<FastifyBaseLogger, 'error'>): () => void {
  let latest = wall()
  const note = () => {
    const now = wall()
    if (latest - now > MAX_STEP_BACK_SECONDS) {
      log.error(
        { seconds: latest - now },
        'the clock was set back by more than a day: tokens from before are good again when the clock gets there. ' +
          'Make a new key and revoke the keys of that time: npm run keys -- rotate --now; npm run keys -- revoke <kid>',
      )
      latest = now
    }
    latest = Math.max(latest, now)
    store.noteTime(now).catch(() => undefined) // a store that is away is reported by the looks
  }
  note()
  const timer = setInterval(note, NOTE_TIME_INTERVAL_SECONDS * 1000).unref()
  return () => clearInterval(timer)
}
