import t from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import type { VerifierOptions } from '../../src/verifier/index.ts'
import { memoryStore, storeWorld, successor, token } from './store-world.ts'

const HOUR = 3600
const MODES: Record<string, Partial<VerifierOptions>> = {
  follow: {},
  'on-demand': { mode: 'on-demand' },
}

/** An issuer whose keys and feed a verifier has put into a store, and that is then away. */
async function outage(t: Parameters<typeof storeWorld>[0], options: Partial<VerifierOptions>, speaksChanges = true) {
  const world = storeWorld(t)
  const { create, issuer, delay, pass, verdict } = world
  const { store, texts } = memoryStore(delay)
  issuer.speaksChanges = speaksChanges
  issuer.revoked.push('s1')
  const first = create({ ...options, store })
  if ((await verdict(first, 's2')) !== 'good') throw new Error('it does not begin well')
  issuer.revoked.push('s3')
  await pass(30)
  await verdict(first, 's2')
  await pass(2)
  first.close()
  issuer.isDown = true
  issuer.asked.length = 0
  return { ...world, store, texts }
}

t.test('the issuer is away for twelve hours, and every verifier is started anew from the store', async (t) => {
  for (const [mode, options] of Object.entries(MODES))
    for (const speaksChanges of [true, false])
      for (const how of ['isDown', 'isMute'] as const) {
        const { create, issuer, store, freeze, pass, verdict } = await outage(t, options, speaksChanges)
        issuer[how] = true
        const name = `${mode}, ${speaksChanges ? 'changes' : 'whole feed'}, ${how}`
        for (let hour = 0; hour <= 12; hour += 3) {
          const verifier = create({ ...options, store, timeout: 1000 })
          // Entries are needed for as long as a token of before lives. After that nothing can be hit.
          if (hour === 0)
            for (const sid of ['s1', 's3']) t.equal(await verdict(verifier, sid), 'invalid_token', `${name}: ${sid}`)
          t.equal(await verdict(verifier, 's2'), 'good', `${name}: after ${hour} hours`)
          await pass(2)
          verifier.close()
          freeze(3 * HOUR)
        }
        t.ok(issuer.asked.length > 0, `${name}: it was tried`)
      }
})

t.test('past the stated bounds nothing is believed', async (t) => {
  for (const [mode, options] of Object.entries(MODES))
    for (const [what, after, change, expected] of [
      ['keys within keysMaxStale', 300 + HOUR - 60, {}, 'good'],
      ['keys past keysMaxStale', 300 + HOUR, {}, 'keys_unavailable'],
      ['a day later', 24 * HOUR, {}, 'keys_unavailable'],
      ['a longer keysMaxStale', 24 * HOUR, { keysMaxStale: 48 * HOUR }, 'good'],
      ['a shorter keysMaxStale', 600, { keysMaxStale: 100 }, 'keys_unavailable'],
      ['a feed within its freshness', 0, { onStale: 'reject' }, 'good'],
      ['a feed past its freshness, accepted', 120, { onStale: 'accept' }, 'good'],
      ['a feed past its freshness, rejected', 120, { onStale: 'reject' }, 'revocations_stale'],
      ['a clock that is behind by more than the skew', -120, {}, 'keys_unavailable'],
    ] as const) {
      const { create, store, freeze, verdict, pass, issuer } = await outage(t, options)
      freeze(after)
      const verifier = create({ ...options, keysMaxStale: HOUR, ...change, store })
      t.equal(await verdict(verifier, 's2'), expected, `${mode}: ${what}`)
      if (expected === 'good') continue
      issuer.isDown = false
      await pass(40)
      t.equal(await verdict(verifier, 's2'), 'good', `${mode}: ${what}, and the issuer is back`)
    }
})

t.test('a verifier that is not started anew has the same bound, by the clock that says more', async (t) => {
  const { create, store, freeze, verdict, issuer, pass } = await outage(t, {})
  const verifier = create({ keysMaxStale: HOUR, store })
  t.equal(await verdict(verifier, 's2'), 'good')
  freeze(HOUR + 300)
  t.equal(await verdict(verifier, 's2'), 'keys_unavailable')
  issuer.isDown = false
  await pass(5)
  t.equal(await verdict(verifier, 's2'), 'good')
})

t.test('a key that was withdrawn stays so after a restart, also when the store has an older JWKS', async (t) => {
  for (const [mode, options] of Object.entries(MODES)) {
    const { create, issuer, delay, pass, verdict, until, now, freeze } = storeWorld(t)
    const { store, texts } = memoryStore(delay)
    issuer.keys.push(publicJwk(successor))
    const first = create({ ...options, store })
    await verdict(first, 's2')
    await pass(2)
    const jwks = [...texts].filter(([name]) => name.includes('keys') && !name.endsWith('note'))
    issuer.withdrawn.push(publicJwk(successor).kid)
    issuer.revoked.push('s1')
    await pass(30)
    await verdict(first, 's2')
    await pass(2)
    first.close()
    for (const [name, value] of jwks) texts.set(name, value)
    issuer.isDown = true
    freeze(HOUR)
    const again = create({ ...options, store })
    t.equal(await verdict(again, 's2'), 'good', mode)
    const forged = again.verify(await token('s2', now(), successor)).catch(({ code }) => code)
    t.equal(await until(forged), 'invalid_token', `${mode}: signed with the withdrawn key`)
  }
})

t.test('with the issuer at hand a restart costs a token nothing, and what is new comes as always', async (t) => {
  const { create, issuer, store, verdict, pass } = await outage(t, {})
  issuer.isDown = false
  issuer.revoked.push('s4')
  const verifier = create({ store })
  t.equal(await verdict(verifier, 's3'), 'invalid_token')
  t.equal(issuer.count('jwks'), 0, 'the keys are young')
  await pass(2)
  t.equal(await verdict(verifier, 's4'), 'invalid_token')
  t.equal(issuer.count('after=0'), 0, 'it goes on where the other one stopped')
})

t.test('a follower puts what it gets once a second at the most, and all of it', async (t) => {
  const { create, issuer, delay, pass, verdict, time } = storeWorld(t)
  const { store } = memoryStore(delay)
  const puts: number[] = []
  const put = (name: string, value: string) => {
    if (name.includes('feed')) puts.push(time.ms)
    return store.put(name, value)
  }
  const verifier = create({ store: { ...store, put } })
  await verdict(verifier, 's2')
  for (let i = 0; i < 10; i += 1) {
    issuer.revoked.push(`r${i}`)
    await pass(0.5)
  }
  await pass(2)
  verifier.close()
  t.ok(puts.length >= 4, `${puts.length} puts`)
  for (const [i, at] of puts.slice(1).entries()) t.ok(at - Number(puts[i]) >= 1000, `${at - Number(puts[i])} ms apart`)
  issuer.isDown = true
  t.equal(await verdict(create({ store }), 'r9'), 'invalid_token')
})
