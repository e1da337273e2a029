import { type Clock, createDeletionClock } from '../../clock.ts'
import { revocationExpiry } from '../../revocations/revocation.ts'
import { turn } from '../../timers.ts'
import type { FeedCopy } from './feed-copy.ts'

/** Between two searches for entries that are over. */
const TIDY_INTERVAL_MS = 10_000

/**
 * Forgets what is over, in slices, and not before it is sure that the clock is right.
 *
 * @returns a function for each turn of the follower
 */
export function feedTidy(copy: FeedCopy, now: Clock, monotonic: () => number): () => Promise<void> {
  const deletionClock = createDeletionClock(now, monotonic, revocationExpiry(0))
  let tidiedAt = monotonic()
  return async () => {
    const instant = deletionClock() // each time: the clock lives on being read
    if (monotonic() < tidiedAt + TIDY_INTERVAL_MS) return
    tidiedAt = monotonic()
    for (const _slice of copy.tidy(instant)) await turn()
  }
}
