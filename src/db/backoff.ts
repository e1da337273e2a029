/** Between two tries to reach a server that is away: a quarter of a second at first, twice as long after each, two at the most. */
const FIRST_MS = 250
const LONGEST_MS = 2000

export interface Backoff {
  /** Milliseconds to wait before the next try. */
  next(): number
  /** It was reached: the next wait is the first again. */
  reset(): void
}

export function createBackoff(): Backoff {
  let pauseMs = FIRST_MS
  return {
    next() {
      const waitMs = pauseMs
      pauseMs = Math.min(pauseMs * 2, LONGEST_MS)
      return waitMs
    },
    reset() {
      pauseMs = FIRST_MS
    },
  }
}
