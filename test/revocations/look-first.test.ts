import t from 'tap'
import { FollowedRevocations, LOOK_FIRST_AFTER_SECONDS } from '../../src/revocations/follow-revocations.ts'
import { createLookFirst } from '../../src/revocations/look-first.ts'
import { FakeStore, holdBack } from './fake-store.ts'

// After a pause the store is asked and the keyring is read before a token is accepted. The timer, the clocks and the
// answers are the test's.

type Look = () => Promise<void> | undefined

function looker(revocations?: (clock: { milliseconds: number; now: number }) => { lookFirst: Look }) {
  const clock = { milliseconds: 0, now: 1_800_000_000 }
  const asked: PromiseWithResolvers<void>[] = []
  const reads: PromiseWithResolvers<void>[] = []
  const held = (list: PromiseWithResolvers<void>[]) => () => {
    const answer = Promise.withResolvers<void>()
    list.push(answer)
    return answer.promise
  }
  const timer = { interval: 0, tick: (): void => undefined, runs: true }
  const { lookFirst, close } = createLookFirst({
    revocations: revocations?.(clock) ?? { lookFirst: held(asked) },
    reloadKeys: held(reads),
    monotonic: () => clock.milliseconds,
    now: () => clock.now,
    every(milliseconds, tick) {
      Object.assign(timer, { interval: milliseconds, tick })
      return () => {
        timer.runs = false
      }
    },
  })
  return { clock, asked, reads, timer, lookFirst, close }
}

const PAUSE_MS = LOOK_FIRST_AFTER_SECONDS * 1000 + 1

t.test('a slow store stalls nobody while the timer shows that the process runs', async (t) => {
  const store = new FakeStore()
  const { clock, reads, timer, lookFirst } = looker((clock) => {
    const now = () => clock.now
    const monotonic = () => clock.milliseconds
    return new FollowedRevocations({ store, now, wall: now, monotonic, report: () => undefined })
  })
  const gate = holdBack(store)
  for (let i = 1; i <= 40; i += 1) {
    clock.milliseconds += 250
    clock.now = 1_800_000_000 + Math.floor(clock.milliseconds / 1000)
    t.equal(lookFirst(), undefined, `after ${clock.milliseconds} ms`)
    timer.tick()
    t.equal(lookFirst(), undefined, `after ${clock.milliseconds} ms and a tick`)
  }
  t.ok(timer.interval <= 250, 'the timer is not slower than here')
  t.equal(gate.waiting, 0)
  t.equal(reads.length, 0)
})

t.test('a tick that comes late, but within the bound, is no pause', async (t) => {
  const { clock, asked, timer, lookFirst } = looker()
  for (let i = 0; i < 10; i += 1) {
    clock.milliseconds += PAUSE_MS - 1
    clock.now += 2
    t.equal(lookFirst(), undefined)
    timer.tick()
  }
  t.equal(asked.length, 0)
})

for (const first of ['the first request', 'the timer'])
  t.test(`after a pause all wait for one look at the store and the keys, when ${first} is faster`, async (t) => {
    for (const pause of [
      { milliseconds: PAUSE_MS, now: 3 }, // the process was stopped
      { milliseconds: PAUSE_MS, now: -3600 }, // and the clock was set back meanwhile
      { milliseconds: 0, now: 3600 }, // the machine slept, and its monotonic clock with it
    ]) {
      const { clock, asked, reads, timer, lookFirst } = looker()
      t.equal(lookFirst(), undefined)
      clock.milliseconds += pause.milliseconds
      clock.now += pause.now
      if (first === 'the timer') timer.tick()
      const order: string[] = []
      const judged = () => lookFirst()?.then(() => order.push('judged'))
      const looks = [judged(), judged()]
      timer.tick()
      looks.push(judged())
      t.same([asked.length, reads.length], [1, 1])
      reads[0]?.resolve()
      await new Promise(setImmediate)
      timer.tick()
      t.ok(lookFirst(), 'not before the store has answered')
      order.push('answered')
      asked[0]?.resolve()
      await Promise.all(looks)
      t.same(order, ['answered', 'judged', 'judged', 'judged'])
      t.equal(lookFirst(), undefined)
      t.same([asked.length, reads.length], [1, 1])
    }
  })

t.test('the keys are awaited when the store has answered before', async (t) => {
  const { clock, asked, reads, lookFirst } = looker()
  clock.milliseconds += PAUSE_MS
  const look = lookFirst()
  asked[0]?.resolve()
  await new Promise(setImmediate)
  t.equal(lookFirst(), look)
  reads[0]?.resolve()
  await look
  t.equal(lookFirst(), undefined)
})

t.test('a pause that the timer notices counts in a second that was fine before', async (t) => {
  const { clock, timer, lookFirst } = looker()
  t.equal(lookFirst(), undefined)
  clock.milliseconds += PAUSE_MS // and the clock of the machine was set back by as much
  timer.tick()
  t.ok(lookFirst())
})

t.test('the clock that is set back during a look does not end it', async (t) => {
  const { clock, asked, reads, timer, lookFirst } = looker()
  clock.now += 3600
  const look = lookFirst()
  clock.now -= 3600
  timer.tick()
  t.equal(lookFirst(), look)
  asked[0]?.resolve()
  reads[0]?.resolve()
  await look
  t.equal(lookFirst(), undefined)
})

t.test('a look that fails accepts nothing, and the next request looks again', async (t) => {
  for (const first of ['request', 'timer']) {
    const { clock, asked, reads, timer, lookFirst } = looker()
    clock.milliseconds += PAUSE_MS
    if (first === 'timer') timer.tick()
    const look = Promise.resolve(lookFirst())
    asked[0]?.reject(new Error('broken'))
    await t.rejects(look, { message: 'broken' })
    const again = lookFirst()
    t.ok(again)
    t.equal(asked.length, 2)
    asked[1]?.resolve()
    for (const read of reads) read.resolve()
    await again
    t.equal(lookFirst(), undefined)
  }
})

t.test('also a look that fails before it waits for anything', async (t) => {
  let broken = true
  const { clock, reads, lookFirst } = looker(() => ({
    lookFirst() {
      if (broken) throw new Error('broken')
      return undefined
    },
  }))
  clock.milliseconds += PAUSE_MS
  await t.rejects(async () => lookFirst(), { message: 'broken' })
  broken = false
  const again = lookFirst()
  reads[0]?.resolve()
  await again
  t.equal(lookFirst(), undefined)
})

t.test('the timer is stopped when the app is closed', async (t) => {
  const { timer, close } = looker()
  t.ok(timer.runs)
  close()
  t.notOk(timer.runs)
})
