import fc from 'fast-check'
import t from 'tap'
import { createDeletionClock, toTimestamp } from '../src/clock.ts'

const NOW = 1_800_000_000
const HOUR = 3600
const PATIENCE = 1020

/** A wall clock that somebody sets, and the time that really passes, in seconds. */
function clocks() {
  const real = { seconds: 0, offset: 0 }
  const now = () => NOW + real.seconds + real.offset
  return { real, now, deletionClock: createDeletionClock(now, () => real.seconds * 1000, PATIENCE) }
}

t.test('a clock that nobody sets is believed at once', async (t) => {
  const { real, now, deletionClock } = clocks()
  for (let i = 0; i < 200; i += 1) {
    real.seconds += 30
    t.equal(deletionClock(), now())
  }
})

t.test('a step forward is believed when it has lasted, a step back at once', async (t) => {
  const { real, now, deletionClock } = clocks()
  real.seconds += 5
  real.offset = HOUR // before anybody asked for the first time
  for (let passed = 0; passed < PATIENCE; passed += 30) {
    t.equal(deletionClock(), NOW + real.seconds, `after ${passed} s`)
    real.seconds += 30
  }
  for (let i = 0; i < 3; i += 1) {
    real.seconds += 30
    deletionClock()
  }
  t.equal(deletionClock(), now(), 'then it is the time')
  real.offset = 0
  t.equal(deletionClock(), now())
})

t.test('steps that are taken back within the patience leave no trace', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.integer({ min: 1, max: 100 }))),
      async (steps) => {
        const { real, deletionClock } = clocks()
        for (const [offset, seconds] of steps) {
          real.offset = real.seconds < PATIENCE - 200 ? offset : 0
          for (let i = 0; i < seconds; i += 10) {
            real.seconds += 10
            if (deletionClock() > NOW + real.seconds) t.fail('ahead of the time')
          }
        }
      },
    ),
  )
})

t.test('a timestamp is that of its second, remembered or not', async (t) => {
  const last = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000
  const isRight = (seconds: number) => Date.parse(toTimestamp(seconds)) === seconds * 1000
  fc.assert(fc.property(fc.integer({ min: 0, max: last }), (seconds) => isRight(seconds) && isRight(seconds)))
  for (const seconds of [...Array(5000).keys(), 0, last]) if (!isRight(seconds)) t.fail(`${seconds}`) // more than are remembered
  t.equal(toTimestamp(NOW), '2027-01-15T08:00:00Z')
  t.throws(() => toTimestamp(Number.NaN), RangeError)
})
