import t from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { storeWorld, successor } from './store-world.ts'

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
