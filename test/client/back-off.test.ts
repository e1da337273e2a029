import t from 'tap'
import { SignetClientError } from '../../src/client/index.ts'
import { problem } from './fake-server.ts'
import { scene } from './tabs.ts'

t.test('Retry-After is obeyed by everybody who asks, and by the page that wakes', async (t) => {
  const reply = () => problem('too_many_requests', 429, { 'retry-after': '30' })
  const { session, done, codeOf, clock, server, tab } = scene(t, {}, { '/v1/refresh': reply })
  await done(session.start())
  for (let second = 0; second < 28; second++) {
    t.equal(await codeOf(session.refresh(), 1000), 'too_many_requests')
    tab.wake()
  }
  t.equal(server.count('/v1/refresh'), 1)
  const error = await session.refresh().catch((thrown: SignetClientError) => thrown)
  t.ok(error instanceof SignetClientError && Number(error.retryAfterMs) > 0 && Number(error.retryAfterMs) < 5000)
  await clock.pass(5000)
  t.equal(server.count('/v1/refresh'), 2)
})

t.test('a timer that comes at the end of a pause does not find it there still, by a rounding', async (t) => {
  for (const part of [0.1, 0.3, 1 / 3, 0.7, 0.9]) {
    const random = () => part
    const { session, done, clock, server } = scene(t, { random }, { '/v1/refresh': () => new TypeError('offline') })
    await clock.pass(part)
    await done(session.start())
    let timers = 0
    const { setTimeout } = clock.clock
    clock.clock.setTimeout = (run, ms) => {
      timers += 1
      if (timers > 1000) throw new Error('one timer after the other')
      return setTimeout(run, ms)
    }
    await clock.pass(600_000)
    t.ok(server.count('/v1/refresh') > 10, `${part}: ${server.count('/v1/refresh')} tries in ten minutes`)
  }
})
