const FIRST_MS = 1000
const LONGEST_MS = 60_000

/**
 * How long to wait after a refresh that brought nothing: full jitter over a span that doubles, so that clients that
 * were cut off together do not come back together.
 *
 * @param failures in a row, at least 1
 * @param random 0 ≤ number < 1
 * @param retryAfterMs what the server asked for; the jitter comes on top of it
 * @returns milliseconds
 */
export function backOffMs(failures: number, random: number, retryAfterMs = 0): number {
  return retryAfterMs + random * Math.min(LONGEST_MS, FIRST_MS * 2 ** failures)
}
