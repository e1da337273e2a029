/** The result of several rounds: the median, and the extremes as a measure of noise. */
export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

/**
 * @throws TypeError for no samples, or for one that is not a finite number above zero: such a round measured nothing
 */
export function summarise(samples: readonly number[]): Summary {
  const sorted = [...samples].sort((a, b) => a - b)
  const [min, max] = [sorted[0], sorted.at(-1)]
  if (min === undefined || max === undefined || !sorted.every((sample) => Number.isFinite(sample) && sample > 0))
    throw new TypeError(`a round measured nothing: ${samples.join(', ')}`)
  return { median: middle(sorted), min, max }
}

function middle(sorted: readonly number[]): number {
  const at = (sorted.length - 1) / 2
  return ((sorted[Math.floor(at)] ?? 0) + (sorted[Math.ceil(at)] ?? 0)) / 2
}
