import t from 'tap'
import { difference, mean, quantile, twoSided } from '../../scripts/lab/bench/difference.ts'

// The statistics behind `npm run bench:timing`.

/** Values between 0 and 1, and a shift, that follow from a number. */
function sample(count: number, seed: number, shift = 0): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32 + shift
  })
}

t.test('probabilities are those of the tables', async (t) => {
  for (const [z, p] of [
    [0, 1],
    [1, 0.31731],
    [1.95996, 0.05],
    [-2.57583, 0.01],
    [3.29053, 0.001],
  ] as const)
    t.ok(Math.abs(twoSided(z) - p) < 1e-5, `${z}`)
})

t.test('quantiles lie between the samples, means in the middle', async (t) => {
  t.equal(quantile([1, 2, 3, 4], 0.5), 2.5)
  t.equal(quantile([1, 2, 3], 0), 1)
  t.equal(quantile([1, 2, 3], 1), 3)
  t.equal(mean([1, 2, 6]), 3)
})

t.test('a worked example', async (t) => {
  const { t: welch, above, medians, means } = difference([3, 4, 5, 6], [1, 2, 3, 4])
  t.ok(Math.abs(welch - 2.19089) < 1e-4)
  t.equal(above, 14 / 16) // thirteen of sixteen pairs, and two ties that count half
  t.equal(medians, 2)
  t.equal(means, 2)
})

t.test('samples of one kind can not be told apart, and a small shift can', async (t) => {
  const same = difference(sample(1000, 1), sample(1000, 2))
  t.ok(same.tProbability > 0.01 && same.uProbability > 0.01, JSON.stringify(same))
  const shifted = difference(sample(1000, 1, 0.1), sample(1000, 2))
  t.ok(shifted.tProbability < 1e-6 && shifted.uProbability < 1e-6, JSON.stringify(shifted))
  t.ok(shifted.above > 0.5)
  t.ok(Math.abs(shifted.quantiles - 0.1) < 0.05)
})
