import '../support/fake-timeouts.ts'
import { mock } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { FollowedRevocations, LOOK_TIMEOUT_MS } from '../../src/revocations/follow-revocations.ts'
import { good } from '../support/claims.ts'
import { FakeStore, holdBack } from './fake-store.ts'

t.test('nobody waits for a store that gave no answer within a second, until it does', async (t) => {
  const store = new FakeStore()
  const clock = { milliseconds: 5000 }
  const now = () => good.iat
  const monotonic = () => clock.milliseconds
  const followed = new FollowedRevocations({ store, now, wall: now, monotonic, report: () => undefined })
  const gate = holdBack(store)
  clock.milliseconds += 60_000
  const look = followed.lookFirst()
  mock.timers.tick(LOOK_TIMEOUT_MS)
  await look
  t.equal(followed.lookFirst(), undefined, 'known to be away from now on')
  await gate.letThrough()
  await turn()
  clock.milliseconds += 60_000
  t.ok(followed.lookFirst(), 'until it has answered')
  await gate.letThrough()
})
