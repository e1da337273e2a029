import { mock } from 'node:test'
import t from 'tap'
import { FeedLog } from '../../src/verifier/store/feed-log.ts'
import { writeFeed } from '../../src/verifier/store/stored-feed.ts'
import { ISSUER, memoryStore, storeWorld } from './store-world.ts'

t.test('a text of very many lines costs no more work than its first bad one', async (t) => {
  const { create, delay, issuer, now, pass, verdict } = storeWorld(t)
  const { store, texts } = memoryStore(delay)
  const verifier = create({ mode: 'on-demand', store })
  t.equal(await verdict(verifier, 's1'), 'good')
  const [name = ''] = [...texts.keys()].filter((one) => /^signet-feed-[a-z0-9]+$/.test(one))
  const lines = Array.from({ length: 100_000 }, () => 'a')
  const origin = { issuer: ISSUER, uri: `${ISSUER}/.well-known/revocations` }
  await pass(10)
  t.ok(texts.has(name))
  texts.set(name, writeFeed(origin, { at: now(), parts: [{ since: now(), lines }] }))
  issuer.revoked.push('s1')
  const has = mock.method(FeedLog.prototype, 'has')
  t.teardown(() => has.mock.restore())
  t.equal(await verdict(verifier, 's1'), 'invalid_token')
  t.ok(has.mock.callCount() < 100, `${has.mock.callCount()} lines were looked up`)
})
