// Tells whether two sets of measurements can be told apart: what an attacker with a stop-watch would compute.

export interface Difference {
  /** Difference of the means, a - b, in the unit of the samples. */
  readonly means: number
  readonly medians: number
  /** Welch's t compares the means; and the probability of one so large by chance. */
  readonly t: number
  readonly tProbability: number
  /**
   * Mann-Whitney: how often a value of a is above one of b (0.5 when they can't be told apart), and the probability of
   * being so far from 0.5 by chance.
   */
  readonly above: number
  readonly uProbability: number
  /** The largest difference between equal quantiles, from 5 % to 95 %. */
  readonly quantiles: number
}

/** Both samples need a hundred values or more, because probabilities are taken from the normal distribution. */
export function difference(a: readonly number[], b: readonly number[]): Difference {
  const [sortedA, sortedB] = [a.toSorted(ascending), b.toSorted(ascending)]
  const t = (mean(a) - mean(b)) / Math.sqrt(variance(a) / a.length + variance(b) / b.length)
  const { above, z } = mannWhitney(sortedA, sortedB)
  const steps = Array.from({ length: 19 }, (_, i) => (i + 1) / 20)
  return {
    means: mean(a) - mean(b),
    medians: quantile(sortedA, 0.5) - quantile(sortedB, 0.5),
    t,
    tProbability: twoSided(t),
    above,
    uProbability: twoSided(z),
    quantiles: Math.max(...steps.map((p) => Math.abs(quantile(sortedA, p) - quantile(sortedB, p)))),
  }
}

/** Interpolates linearly between two samples. */
export function quantile(sorted: readonly number[], p: number): number {
  const at = (sorted.length - 1) * p
  const [low, high] = [sorted[Math.floor(at)] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN]
  return low + (high - low) * (at - Math.floor(at))
}

const ascending = (x: number, y: number) => x - y
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
export const mean = (values: readonly number[]) => sum(values) / values.length

function variance(values: readonly number[]): number {
  const middle = mean(values)
  return sum(values.map((value) => (value - middle) ** 2)) / (values.length - 1)
}

function mannWhitney(a: readonly number[], b: readonly number[]): { above: number; z: number } {
  let wins = 0
  for (const value of a) wins += (countBelow(b, value, false) + countBelow(b, value, true)) / 2 // a tie is half a win
  const pairs = a.length * b.length
  const deviation = Math.sqrt((pairs * (a.length + b.length + 1)) / 12)
  return { above: wins / pairs, z: (wins - pairs / 2) / deviation }
}

/** How many values of a sorted list are below a value, or not above it. */
function countBelow(sorted: readonly number[], value: number, orEqual: boolean): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    const here = sorted[middle] ?? Number.NaN
    if (here < value || (orEqual && here === value)) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The probability that a standard normal value is at least this far from zero: Abramowitz and Stegun 26.2.17, accurate
 * to 1e-7.
 */
export function twoSided(z: number): number {
  const x = Math.abs(z)
  const k = 1 / (1 + 0.2316419 * x)
  const series = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429]
  const tail = series.reduceRight((rest, coefficient) => (rest + coefficient) * k, 0)
  return Math.min(1, (2 * tail * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI))
}
