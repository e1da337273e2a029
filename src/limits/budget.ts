import { LruMap } from 'toad-cache'
import type { Clock } from '../clock.ts'

/**
 * How much each key may spend: `limit` at once, and it grows back evenly over `window` seconds. A `limit` of 0 means no
 * limit.
 */
export interface Quota {
  readonly limit: number
  readonly window: number
}

/** The result of spending one. Times are whole seconds. */
export interface Spent {
  readonly allowed: boolean
  readonly remaining: number
  /** Seconds until the whole allowance is back. */
  readonly resetIn: number
  /** Seconds until one more would be allowed; 0 when this one was. */
  readonly retryIn: number
}

export interface Budget {
  /** A refused request costs nothing: otherwise a client that keeps retrying would never be let in again. */
  spend(key: string): Spent
  refund(key: string): void
}

/**
 * Keys remembered per budget. Beyond this number the least recently used key is forgotten, so that a flood of keys
 * never leads to everybody being refused.
 */
export const MAX_KEYS = 50_000

const UNLIMITED: Spent = { allowed: true, remaining: Number.MAX_SAFE_INTEGER, resetIn: 0, retryIn: 0 }
/** Tolerance for the rounding errors of floating-point arithmetic: the bucket drains by fractions. */
const ROUNDING = 1e-9

/**
 * A leaky bucket per key. A fixed window would allow twice its limit around its edge.
 *
 * @param mostKeys how many keys are remembered
 */
export function createBudget({ limit, window }: Quota, now: Clock, mostKeys = MAX_KEYS): Budget {
  if (limit === 0) return { spend: () => UNLIMITED, refund: () => undefined }
  const buckets = new LruMap<{ used: number; at: number }>(mostKeys)
  const secondsPerOne = window / limit

  const usedAt = (key: string, instant: number): number => {
    const bucket = buckets.get(key)
    if (bucket === undefined) return 0
    // When the clock was set back, nothing drains for that step, and draining goes on from the new time: nobody has to
    // wait until the clock is where it was before.
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
      else buckets.delete(key) // an empty bucket must not push a used one out of the LRU map
    },
  }
}
