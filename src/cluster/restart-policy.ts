/** A worker that lived at least this long counts as healthy, and the crashes before it are forgotten. */
export const HEALTHY_UPTIME_MS = 10_000
/** After this many crashes in a row, none of them healthy, the primary gives up: another worker would crash as well. */
export const MAX_FAST_CRASHES = 6
/**
 * The wait before the first replacement; doubled with every fast crash. Long enough for a signal sent to all processes
 * to reach the primary too, which then replaces nothing.
 */
const FIRST_DELAY_MS = 100

/**
 * Decides whether and when a worker that died is replaced.
 *
 * @returns a function that takes how long the worker lived, in milliseconds, and returns how long to wait, in
 *   milliseconds
 */
export function createRestartPolicy(): (lived: number) => { readonly after: number } | 'give up' {
  let fastDeaths = 0
  return (lived) => {
    fastDeaths = lived >= HEALTHY_UPTIME_MS ? 0 : fastDeaths + 1
    if (fastDeaths >= MAX_FAST_CRASHES) return 'give up'
    return { after: FIRST_DELAY_MS * 2 ** Math.max(0, fastDeaths - 1) }
  }
}
