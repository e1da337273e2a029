import t from 'tap'
import { LOOK_FIRST_AFTER_SECONDS } from '../../src/revocations/follow-revocations.ts'
import { createLookFirst } from '../../src/revocations/look-first.ts'

// After a pause the keyring is read before a token is accepted, whatever the store does.

function looker() {
  const clock = { milliseconds: 0, now: 1_800_000_000 }
  const store = { look: undefined as Promise<void> | undefined, lookedAt: (): void => undefined }
  const reads: (() => void)[] = []
  const lookFirst = createLookFirst({
    revocations: {
      lookFirst: () => store.look,
      onLook(listener) {
        store.lookedAt = listener
        return () => undefined
      },
    },
    reloadKeys: () => new Promise((resolve) => reads.push(resolve)),
    monotonic: () => clock.milliseconds,
    now: () => clock.now,
  })
  return { clock, store, reads, lookFirst }
}
const PAUSE_MS = LOOK_FIRST_AFTER_SECONDS * 1000 + 1

t.test('nothing is awaited while looks at the store show that the process runs', async (t) => {
  const { clock, store, reads, lookFirst } = looker()
  for (let i = 0; i < 10; i += 1) {
    clock.milliseconds += PAUSE_MS - 1
    clock.now += 2
    t.equal(lookFirst(), undefined)
    store.lookedAt()
  }
  t.equal(reads.length, 0)
})

t.test('after a pause all wait for one reading of the keys, also when the store has answered before', async (t) => {
  for (const pause of [
    { milliseconds: PAUSE_MS, now: 3 }, // the process was stopped
    { milliseconds: PAUSE_MS, now: -3600 }, // and the clock was set back meanwhile

    { milliseconds: 0, now: 3600 },
  ]) {
    const { clock, store, reads, lookFirst } = looker()
    t.equal(lookFirst(), undefined)
    clock.milliseconds += pause.milliseconds
    clock.now += pause.now
    store.lookedAt() // its timer was faster than the first request
    const order: string[] = []
    const looks = [lookFirst(), lookFirst()].map((look) => look?.then(() => order.push('judged')))
    t.equal(reads.length, 1)
    store.lookedAt()
    t.ok(lookFirst(), 'not before the keys are read')
    order.push('read')
    reads[0]?.()
    await Promise.all(looks)
    t.same(order, ['read', 'judged', 'judged'])
    t.equal(lookFirst(), undefined)
  }
})

t.test('the look at the store is awaited alone, and together with that at the keys', async (t) => {
  const { clock, store, reads, lookFirst } = looker()
  let answer: () => void = () => undefined
  store.look = new Promise((resolve) => {
    answer = resolve
  })
  t.equal(lookFirst(), store.look)
  clock.milliseconds += PAUSE_MS
  clock.now += 3
  let judged = false
  const both = lookFirst()?.then(() => {
    judged = true
  })
  reads[0]?.()
  await new Promise(setImmediate)
  t.equal(judged, false)
  answer()
  await both
  t.equal(judged, true)
})
