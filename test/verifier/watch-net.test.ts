import t from 'tap'
import { UnknownKid } from '../../src/tokens/verify.ts'
import { Refused } from '../../src/verifier/refused.ts'
import { watchClaims } from '../../src/verifier/watch/watch-claims.ts'
import { storeWorld } from './store-world.ts'
import { token } from './watching.ts'

t.test('what no event has told is noticed all the same', async (t) => {
  const { now, pass } = storeWorld(t)
  let [isWithdrawn, judged] = [false, 0]
  const claims = token('a', now() + 600)
  const watched = watchClaims({
    options: { mode: 'follow', now, policy: { skew: 5 }, onEvent: () => undefined } as never,
    again: (() => {
      judged += 1
      // As by a list of which the first page withdraws a key, and the others never come.
      if (isWithdrawn) throw new UnknownKid('k1', true)
    }) as never,
    kids: new WeakMap([[claims, 'k1']]),
    keys: { due: () => undefined, seek: async () => undefined, hasGoodKeys: () => true },
    revocations: undefined,
    refused: new Refused(() => undefined),
  })
  t.teardown(() => watched.close())
  const told: string[] = []
  watched.add(claims, (refusal) => told.push(refusal))
  await pass(60)
  t.ok(judged < 10, `judged ${judged} times in a minute`)
  isWithdrawn = true
  await pass(11)
  t.strictSame(told, ['revoked_key'])
})
