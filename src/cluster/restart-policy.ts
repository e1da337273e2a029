/** Milliseconds. A worker that lived longer than this was a good one. */
export const GOOD_LIFE = 10_000
/** So many that were not, one after the other, and there is no point in starting another. */
export const MOST_FAST_DEATHS = 6
/** Milliseconds before the first replacement; doubled with every fast death. Enough for a signal to all processes to get here too. */
const FIRST_PAUSE = 100

/** Whether and when a worker that died is replaced. Any that lives well for a while makes the ones before it forgotten. */
export function createReplacement(): (lived: number) => { readonly after: number } | 'give up' {
  let fastDeaths = 0
  return (lived) => {
    fastDeaths = lived >= GOOD_LIFE ? 0 : fastDeaths + 1
    if (fastDeaths >= MOST_FAST_DEATHS) return 'give up'
    return { after: FIRST_PAUSE * 2 ** Math.max(0, fastDeaths - 1) }
  }
}
