import { LruMap } from 'toad-cache'
import type { Clock } from '../clock.ts'

/** How much each key may spend: `limit` at once, growing back evenly over `window` seconds. A limit of 0 is none. */
export interface Quota {
  readonly limit: number
  readonly window: number
}

/** What came of spending one. Whole seconds. */
export interface Spent {
  readonly allowed: boolean
  readonly remaining: number
  /** Until nothing is spent any more. */
  readonly resetIn: number
  /** Until one more would be allowed; 0 when this one was. */
  readonly retryIn: number
}

export interface Budget {
  /** A refused one costs nothing, so that who keeps knocking does not keep himself out. */
  spend(key: string): Spent
  refund(key: string): void
}

/** Keys that are remembered, per budget. Beyond it the one unused for longest is forgotten: never is everybody refused. */
export const MAX_KEYS = 50_000

const UNLIMITED: Spent = { allowed: true, remaining: Number.MAX_SAFE_INTEGER, resetIn: 0, retryIn: 0 }
/** What draining by fractions may be off by. */
const ROUNDING = 1e-9

/** A leaky bucket per key: a fixed window would let twice its limit through around its edge. */
export function createBudget({ limit, window }: Quota, now: Clock, mostKeys = MAX_KEYS): Budget {
  if (limit === 0) return { spend: () => UNLIMITED, refund: () => undefined }
  const buckets = new LruMap<{ used: number; at: number }>(mostKeys)
  const secondsPerOne = window / limit

  const usedAt = (key: string, instant: number): number => {
    const bucket = buckets.get(key)
    if (bucket === undefined) return 0
    // A clock that was set back drains nothing, and from then on as ever: nobody waits for it to be where it was.
    if (instant < bucket.at) buckets.set(key, { used: bucket.used, at: instant })
    return Math.max(0, bucket.used - Math.max(0, instant - bucket.at) / secondsPerOne)
  }
  const seconds = (units: number): number => Math.max(0, Math.ceil((units - ROUNDING) * secondsPerOne))

  return {
    spend(key) {
      const instant = now()
      const before = usedAt(key, instant)
      const allowed = before + 1 <= limit + ROUNDING
      const used = allowed ? before + 1 : before
      if (allowed) buckets.set(key, { used, at: instant })
      return {
        allowed,
        remaining: Math.max(0, Math.floor(limit - used + ROUNDING)),
        resetIn: seconds(used),
        retryIn: allowed ? 0 : Math.max(1, seconds(before + 1 - limit)),
      }
    },
    refund(key) {
      const instant = now()
      const used = usedAt(key, instant) - 1
      if (used > 0) buckets.set(key, { used, at: instant })
      else buckets.delete(key) // what cost nothing takes no place either: else it could push out what did
    },
  }
}
