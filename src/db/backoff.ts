/**
 * How long to wait between two attempts to reach a server that is down: the first wait, doubled after each failure, and
 * its ceiling.
 */
const FIRST_MS = 250
const LONGEST_MS = 2000

export interface Backoff {
  /** Milliseconds to wait before the next try. */
  next(): number
  /** The server was reached: the next wait is the first one again. */
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
