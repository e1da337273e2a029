import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { FollowedRevocations, type FollowOptions } from '../../src/revocations/follow-revocations.ts'
import { good } from '../support/claims.ts'
import { FakeStore, holdBack } from './fake-store.ts'

type Events = Parameters<FollowOptions['report']>[0][]

function follow(now = () => good.iat) {
  const store = new FakeStore()
  const clock = { milliseconds: 5000 }
  const events: Events = []
  const followed = new FollowedRevocations({
    store,
    now,
    monotonic: () => clock.milliseconds,
    wall: () => good.iat,
    report: (event) => void events.push(event),
  })
  const refuses = (sid: string) => followed.judge({ ...good, sid }) === 'revoked'
  return { store, clock, events, followed, refuses }
}

t.test(
  'what is committed before the call is in the set when it resolves, also while a read is under way',
  async (t) => {
    const { store, followed, refuses } = follow()
    const gate = holdBack(store)
    store.commit('a')
    const first = followed.catchUp()
    store.commit('b')
    const done: string[] = []
    const second = followed.catchUp().then(() => done.push('second'))
    const third = followed.catchUp().then(() => done.push('third'))

    await gate.letThrough()
    await first
    t.ok(refuses('a'))
    t.notOk(refuses('b'), 'the first read began before it')
    t.same(done, [], 'and nobody who waits for it was told otherwise')
    await gate.letThrough()
    await Promise.all([second, third])
    t.ok(refuses('b'))
    t.equal(store.reads.length, 2, 'those who wait share one read')
  },
)

t.test('in every order of commits, calls and answers, a call resolves only with all that was there', async (t) => {
  const commands = fc.array(fc.constantFrom('commit', 'call', 'answer'), { minLength: 5, maxLength: 40 })
  const property = fc.asyncProperty(commands, async (steps) => {
    const { store, followed, refuses } = follow()
    const gate = holdBack(store)
    const calls: Promise<void>[] = []
    for (const step of steps) {
      if (step === 'commit') store.commit(`s${store.committed.length}`)
      else if (step === 'answer') await gate.letThrough()
      else {
        const there = store.committed.map(({ subject }) => subject)
        const check = () => {
          const missing = there.filter((sid) => !refuses(sid))
          if (missing.length > 0) throw new Error(`resolved without ${missing}`)
        }
        calls.push(followed.catchUp().then(check))
      }
    }
    const all = Promise.all(calls)
    while (gate.waiting > 0) await gate.letThrough()
    await all
  })
  await fc.assert(property, { numRuns: 300 })
  t.pass('300 orders')
})

t.test('a call in the very turn in which a read ends is not told of that read', async (t) => {
  const { store, followed, refuses } = follow()
  const ends = followed.catchUp()
  const late = ends.then(() => {
    store.commit('late')
    return followed.catchUp()
  })
  const waiting = followed.catchUp() // its read begins in that turn as well
  await Promise.all([late, waiting])
  t.ok(refuses('late'))
})

t.test('a long list is read in pages, each after the one before, and then only what is new', async (t) => {
  const { store, followed } = follow()
  for (let i = 0; i < 24_999; i += 1) store.commit(`s${i}`)
  await followed.catchUp()
  t.equal(followed.size, 24_999)
  t.same(
    store.reads.map(({ seq }) => seq),
    [0, 5000, 10_000, 15_000, 20_000],
  )
  await followed.catchUp()
  t.equal(store.reads.at(-1)?.seq, 24_999)
  store.commit(...Array.from({ length: 12_000 }, (_, i) => `of one number ${i}`))
  store.commit('after them')
  await followed.catchUp()
  t.equal(followed.size, 37_000, 'a number that is longer than a page is not cut')
  await followed.catchUp()
  t.equal(store.reads.at(-1)?.seq, 25_001)
})

t.test('the store is reported once when it is lost and once when it is found, and every call is told', async (t) => {
  const { store, events, followed, refuses } = follow()
  store.commit('a')
  await followed.catchUp()
  t.same(events, [], 'a store that answers is no event')

  for (const round of [1, 2]) {
    store.away = new Error(`away ${round}`)
    for (const _ of [1, 2, 3]) await t.rejects(followed.catchUp(), store.away)
    await t.rejects(Promise.all([followed.catchUp(), followed.catchUp()]), store.away)
    t.ok(refuses('a'), 'what is known stays in force')
    t.same(events, [{ lost: store.away }])
    store.away = undefined
    store.commit(`during outage ${round}`)
    await followed.catchUp()
    await followed.catchUp()
    t.same(events.splice(0).slice(1), [{ found: true }])
    t.ok(refuses(`during outage ${round}`))
  }
})

t.test('a read that fails between two pages goes on where it was', async (t) => {
  const { store, followed } = follow()
  for (let i = 0; i < 7500; i += 1) store.commit(`s${i}`)
  store.answer = async () => {
    store.away = store.reads.length === 1 ? new Error('away') : undefined // seen by the next read
  }
  await t.rejects(followed.catchUp(), { message: 'away' })
  t.equal(followed.size, 5000)
  await followed.catchUp()
  t.equal(followed.size, 7500)
  t.same(
    store.reads.map(({ seq }) => seq),
    [0, 5000, 5000],
  )
})

t.test('the age counts from the beginning of the last read that was complete', async (t) => {
  const { store, clock, followed } = follow()
  clock.milliseconds += 1500
  t.equal(followed.age(), 1.5)
  const gate = holdBack(store)
  const read = followed.catchUp()
  clock.milliseconds += 4000 // what was committed meanwhile is not in this answer
  await gate.letThrough()
  await read
  t.equal(followed.age(), 4)

  store.answer = async () => undefined
  store.away = new Error('away')
  clock.milliseconds += 60_000
  await t.rejects(followed.catchUp())
  t.equal(followed.age(), 64, 'a read that failed makes nothing younger')
  store.away = undefined
  await followed.catchUp()
  t.equal(followed.age(), 0)
})

t.test('the loop looks four times a second, sweeps what is over, outlives a lost store, and stops', async (t) => {
  fakeTimers(t)
  const clock = { now: good.iat }
  const { store, events, followed, refuses } = follow(() => clock.now)
  await followed.catchUp()
  followed.start()
  store.commit('a')
  await tick(250)
  t.ok(refuses('a'))

  store.away = new Error('away')
  await tick(1000)
  t.same(events, [{ lost: store.away }])
  store.away = undefined
  store.commit('b')
  await tick(250)
  t.ok(refuses('b'))

  clock.now = good.exp
  await tick(30_000)
  t.equal(followed.size, 0)

  followed.stop()
  const { length } = store.reads
  await tick(60_000)
  t.equal(store.reads.length, length)
})

t.test('a store that hangs is asked one question at a time', async (t) => {
  fakeTimers(t)
  const { store, followed, refuses } = follow()
  const gate = holdBack(store)
  followed.start()
  t.teardown(() => followed.stop())
  await tick(10_000)
  t.equal(store.reads.length, 1)
  store.commit('a')
  await gate.letThrough()
  await gate.letThrough()
  t.ok(refuses('a'))
})

function fakeTimers(t: Test): void {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
}

/** Advances the clock by this many milliseconds, one poll of the loop at a time. */
async function tick(milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 250) {
    mock.timers.tick(250)
    await turn()
  }
}
