import { mock } from 'node:test'
import t from 'tap'
import { createFairShare } from '../../src/limits/fair-share.ts'
import { createFeedWaits } from '../../src/revocations/feed-waits.ts'
import '../support/fake-timeouts.ts'
import { settled } from './bare-feed.ts'

t.test('who gets a whole is let go more slowly: 200, and after 20 ms the next 200', async (t) => {
  for (const [getLongAnswers, counts] of [
    [false, [500, 500, 500]],
    [true, [200, 400, 500]],
  ] as const) {
    const waits = createFeedWaits<string>(createFairShare(10_000))
    const client = new AbortController().signal
    let gone = 0
    for (let i = 0; i < 501; i += 1)
      void waits.wait(i < 500 ? 'old' : 'new', 99_999, client, `${i}`)?.then(() => gone++)
    const released = waits.release((held) => held === 'old', { getLongAnswers })
    for (const count of counts) {
      await settled()
      t.equal(gone, count)
      mock.timers.tick(20)
    }
    await released
    t.equal(waits.size, 1)
    waits.close()
  }
})
