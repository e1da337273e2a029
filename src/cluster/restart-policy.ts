/** Milliseconds. A worker that lived longer than this was a good one. */
export const HEALTHY_UPTIME_MS = 10_000
/** So many that were not, one after the other, and there is no point in starting another. */
export const MAX_FAST_CRASHES = 6
/** Milliseconds before the first replacement; doubled with every fast death. Enough for a signal to all processes to get here too. */
const FIRST_DELAY_MS = 100

/** Whether and when a worker that died is replaced. Any that lives well for a while makes the ones before it forgotten. */
export function createRestartPolicy(): (lived: number) => { readonly after: number } | 'give up' {
  let fastDeaths = 0
  return (lived) => {
    fastDeaths = lived >= HEALTHY_UPTIME_MS ? 0 : fastDeaths + 1
    if (fastDeaths >= MAX_FAST_CRASHES) return 'give up'
    return { after: FIRST_DELAY_MS * 2 ** Math.max(0, fastDeaths - 1) }
  }
}
