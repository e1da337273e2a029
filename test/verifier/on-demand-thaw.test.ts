import t from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { memoryStore, storeWorld, successor } from './store-world.ts'

const ON_DEMAND = { mode: 'on-demand' } as const
const behind = { waitUntil: () => undefined }

t.test('a failure of long ago is no reason to judge a token without a look', async (t) => {
  for (const [what, call] of [
    ['without waitUntil', undefined],
    ['with waitUntil', behind],
  ] as const)
    for (const clock of ['frozen', 'going on'] as const) {
      const { create, issuer, freeze, jump, pass, verdict } = storeWorld(t)
      const verifier = create(ON_DEMAND)
      await verdict(verifier, 's2', call)
      issuer.isDown = true
      await pass(10)
      await verdict(verifier, 's2', call)
      await pass(0.2)
      issuer.isDown = false
      issuer.revoked.push('s1')
      if (clock === 'frozen') freeze(600)
      else await jump(600)
      t.equal(await verdict(verifier, 's1', call), 'invalid_token', `${what}, the monotonic clock ${clock}`)
    }
})

t.test('the same for keys: one that left the JWKS meanwhile verifies nothing', async (t) => {
  for (const [what, call] of [
    ['without waitUntil', undefined],
    ['with waitUntil', behind],
  ] as const)
    for (const clock of ['frozen', 'going on'] as const) {
      const { create, issuer, freeze, jump, pass, verdict } = storeWorld(t)
      const verifier = create({ ...ON_DEMAND, revocations: false })
      await verdict(verifier, 's2', call)
      issuer.isDown = true
      await jump(301)
      t.equal(await verdict(verifier, 's2', call), 'good')
      await pass(0.2)
      issuer.isDown = false
      issuer.keys = [publicJwk(successor)]
      if (clock === 'frozen') freeze(600)
      else await jump(600)
      t.equal(await verdict(verifier, 's1', call), 'invalid_token', `${what}, the monotonic clock ${clock}`)
    }
})

t.test('a JWKS that came after a freeze is newer, also from a shared cache', async (t) => {
  for (const how of ['a cache', 'a store'] as const) {
    const { create, delay, issuer, fetch, freeze, until, verdict } = storeWorld(t)
    const { store } = memoryStore(delay)
    const cached: typeof fetch = async (...asked) => {
      const reply = await fetch(...asked)
      if (how === 'a cache' && issuer.count('jwks') > 1) reply.headers.set('age', '60')
      return reply
    }
    const options = { ...ON_DEMAND, revocations: false, fetch: cached, ...(how === 'a store' && { store }) }
    const frozen = create(options)
    t.equal(await verdict(frozen, 's1'), 'good')
    freeze(540)
    issuer.keys = [publicJwk(successor)]
    if (how === 'a store') await until(create(options).hydrate())
    const { length } = issuer.asked
    freeze(60)
    t.equal(await verdict(frozen, 's1'), 'invalid_token', how)
    const [look, ...others] = issuer.asked.slice(length)
    if (how === 'a store') t.match(look, 'kid=', 'what another one asked for will do, but for the search of the kid')
    t.ok(others.length <= 1)
  }
})
