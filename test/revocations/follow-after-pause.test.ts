import t from 'tap'
import { FollowedRevocations, LOOK_FIRST_AFTER_SECONDS } from '../../src/revocations/follow-revocations.ts'
import { good } from '../support/claims.ts'
import { FakeStore, holdBack } from './fake-store.ts'

// A process that stood still looks before it accepts.

function follow(wall = { now: good.iat }) {
  const store = new FakeStore()
  const clock = { milliseconds: 5000 }
  const followed = new FollowedRevocations({
    store,
    now: () => good.iat,
    monotonic: () => clock.milliseconds,
    wall: () => wall.now,
    report: () => undefined,
  })
  const refuses = (sid: string) => followed.judge({ ...good, sid }) === 'revoked'
  return { store, clock, followed, refuses }
}

t.test(
  'the age counts on the clock that says more: one stands still with the machine, one can be set back',
  async (t) => {
    const wall = { now: good.iat }
    const { clock, followed } = follow(wall)
    await followed.catchUp()
    wall.now += 3600
    t.equal(followed.age(), 3599, 'the machine slept; whole seconds count one less, so never too much')
    clock.milliseconds += 7000
    wall.now -= 7200
    t.equal(followed.age(), 7, 'the clock was set back')
  },
)

t.test('after a pause one look is awaited by everybody, and by nobody while the last one is recent', async (t) => {
  const { store, clock, followed, refuses } = follow()
  await followed.catchUp()
  clock.milliseconds += 1000 * LOOK_FIRST_AFTER_SECONDS
  t.equal(followed.lookFirst(), undefined, 'at the bound')
  clock.milliseconds += 1
  store.commit('a')
  const looks = [followed.lookFirst(), followed.lookFirst()]
  t.ok(looks[0])
  t.equal(looks[0], looks[1])
  await looks[0]
  t.ok(refuses('a'))
  t.equal(store.reads.length, 2)
  t.equal(followed.lookFirst(), undefined)
})

t.test('an answer from before the pause does not count', async (t) => {
  const { store, clock, followed, refuses } = follow()
  const gate = holdBack(store)
  const before = followed.catchUp()
  clock.milliseconds += 60_000
  store.commit('a')
  const look = followed.lookFirst()
  await gate.letThrough()
  await before
  t.notOk(refuses('a'))
  await gate.letThrough()
  await look
  t.ok(refuses('a'))
})

t.test('a connection that did not outlive the pause is tried once more', async (t) => {
  const { store, clock, followed, refuses } = follow()
  await followed.catchUp()
  store.commit('a')
  clock.milliseconds += 60_000
  store.away = new Error('reset')
  store.answer = async () => {
    store.away = undefined
  }
  await followed.lookFirst()
  t.ok(refuses('a'))
})

t.test('nobody waits for a store that is known to be away', async (t) => {
  const away = follow()
  away.store.away = new Error('away')
  await t.rejects(away.followed.catchUp())
  away.clock.milliseconds += 60_000
  t.equal(away.followed.lookFirst(), undefined, 'the policy decides')
})
