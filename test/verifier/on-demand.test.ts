import t from 'tap'
import { createVerifier, type VerifierOptions } from '../../src/verifier/index.ts'
import { storeWorld, token } from './store-world.ts'

const ON_DEMAND = { mode: 'on-demand' } as const

t.test('nothing is asked before the first token, and nothing while no token comes', async (t) => {
  const { create, issuer, pass, verdict } = storeWorld(t)
  const verifier = create(ON_DEMAND)
  await pass(10)
  t.strictSame(issuer.asked, [])
  t.equal(await verdict(verifier, 's1'), 'good')
  t.strictSame(issuer.asked, ['/.well-known/jwks.json', '/.well-known/revocations?after=0'])
  await pass(120)
  t.equal(issuer.asked.length, 2)
})

t.test(
  'a token that finds an old copy waits for one look, with all others; a young copy is not asked for',
  async (t) => {
    const { create, issuer, now, pass, until, verdict } = storeWorld(t)
    const verifier = create(ON_DEMAND)
    await verdict(verifier, 's1')
    const again = await token('s1', now())
    await pass(8.5)
    t.notOk(verifier.verifyNow(again) instanceof Promise, 'at once')
    t.equal(issuer.count('revocations'), 1)
    await pass(1.5)
    issuer.revoked.push('s1')
    const waiting = Array.from({ length: 100 }, () => verifier.verify(again))
    const codes = (await until(Promise.allSettled(waiting))).map((one) => one.status === 'rejected' && one.reason.code)
    t.strictSame([...new Set(codes)], ['invalid_token'])
    t.equal(issuer.count('revocations'), 2)
    t.equal(issuer.count('after=h1.0'), 1, 'only what is new')
  },
)

t.test('what is revoked is refused when the copy has its age, and not later', async (t) => {
  for (const [maxFeedAge, call] of [
    [undefined, 10],
    [3, 3],
    [60, 60],
  ] as const) {
    const { create, issuer, pass, verdict } = storeWorld(t)
    const verifier = create({ ...ON_DEMAND, ...(maxFeedAge && { maxFeedAge }) })
    await verdict(verifier, 's2')
    issuer.revoked.push('s1')
    await pass(call - 2)
    t.equal(await verdict(verifier, 's1'), 'good', `${call} s: still young`)
    await pass(2)
    t.equal(await verdict(verifier, 's1'), 'invalid_token', `${call} s`)
  }
})

t.test('a call may want a younger copy, or put up with an older one', async (t) => {
  const { create, issuer, pass, verdict } = storeWorld(t)
  const verifier = create(ON_DEMAND)
  await verdict(verifier, 's2')
  issuer.revoked.push('s1')
  await pass(5)
  t.equal(await verdict(verifier, 's1'), 'good')
  t.equal(await verdict(verifier, 's1', { maxFeedAge: 4 }), 'invalid_token')
  await pass(20)
  const { length } = issuer.asked
  t.equal(await verdict(verifier, 's2', { maxFeedAge: 30 }), 'good')
  t.equal(issuer.asked.length, length)
})

t.test('with waitUntil the look goes on behind the answer, from half of the age on', async (t) => {
  for (const where of ['option', 'call'] as const) {
    const { create, issuer, now, pass, until, verdict } = storeWorld(t)
    const works: Promise<unknown>[] = []
    const waitUntil = (work: Promise<unknown>) => void works.push(work)
    const verifier = create({ ...ON_DEMAND, ...(where === 'option' && { waitUntil }) })
    const call = where === 'call' ? { waitUntil } : undefined
    await verdict(verifier, 's2', call)
    works.length = 0
    const good = await token('s1', now())
    await pass(3)
    t.notOk(verifier.verifyNow(good, call) instanceof Promise)
    t.equal(works.length, 0, 'it is young')
    await pass(3)
    issuer.revoked.push('s1')
    t.notOk(verifier.verifyNow(good, call) instanceof Promise, 'at once')
    t.equal(works.length, 1)
    await until(Promise.all(works))
    t.equal(await verdict(verifier, 's1', call), 'invalid_token', 'sooner than it has to be')
    await pass(20)
    t.equal(await verdict(verifier, 's2', call), 'good')
    t.ok(works.length > 1, 'a look that is waited for goes on too when its request is over')
    issuer.isDown = true
    await pass(10)
    await verdict(verifier, 's2', call)
    await pass(10)
    t.notOk(verifier.verifyNow(await token('s2', now()), call) instanceof Promise, 'a further try lets nobody wait')
    const failing = () => {
      throw new Error('the answer was sent')
    }
    await pass(10)
    t.equal(await verdict(verifier, 's2', { waitUntil: failing }), 'good')
  }
})

t.test('keys are looked at when their max-age is over, and behind the answer from half of it on', async (t) => {
  const { create, issuer, pass, verdict, now } = storeWorld(t)
  const verifier = create({ ...ON_DEMAND, revocations: false })
  await verdict(verifier, 's1')
  await pass(295)
  await verdict(verifier, 's1')
  t.equal(issuer.count('jwks'), 1)
  await pass(5)
  t.ok(verifier.verifyNow(await token('s1', now())) instanceof Promise, 'it waits')
  await verdict(verifier, 's1')
  t.equal(issuer.count('jwks'), 2)
  await pass(155)
  const waitUntil = () => undefined
  t.notOk(verifier.verifyNow(await token('s1', now()), { waitUntil }) instanceof Promise)
  await pass(1)
  t.equal(issuer.count('jwks'), 3)
})

t.test(
  'when the issuer is away the copy counts until its end, then onStale decides; keys have their own end',
  async (t) => {
    for (const onStale of ['accept', 'reject'] as const)
      for (const how of ['isDown', 'isMute'] as const) {
        const { create, issuer, pass, verdict, freeze } = storeWorld(t)
        const verifier = create({ ...ON_DEMAND, onStale, keysMaxStale: 3600, timeout: 1000 })
        issuer.revoked.push('s1')
        await verdict(verifier, 's2')
        issuer[how] = true
        const name = `${onStale}, ${how}`
        await pass(20)
        t.equal(await verdict(verifier, 's2'), 'good', `${name}: it is fresh until its end`)
        t.equal(await verdict(verifier, 's1'), 'invalid_token', name)
        await pass(50)
        t.equal(await verdict(verifier, 's2'), onStale === 'accept' ? 'good' : 'revocations_stale', name)
        t.equal(await verdict(verifier, 's1'), onStale === 'accept' ? 'invalid_token' : 'revocations_stale', name)
        const { length } = issuer.asked
        for (let second = 0; second < 60; second += 1) {
          await verdict(verifier, 's2')
          await pass(1)
        }
        t.ok(issuer.asked.length - length <= 20, `${name}: ${issuer.asked.length - length} requests in a minute`)
        freeze(3600 + 300)
        t.equal(await verdict(verifier, 's2'), 'keys_unavailable', `${name}: the keys are over by the system clock`)
        issuer[how] = false
        await pass(30)
        t.equal(await verdict(verifier, 's2'), 'good', `${name}: and back`)
      }
  },
)

t.test('the age is that of the clock which says more', async (t) => {
  const { create, issuer, pass, freeze, verdict } = storeWorld(t)
  const verifier = create(ON_DEMAND)
  await verdict(verifier, 's2')
  issuer.revoked.push('s1')
  freeze(10)
  t.equal(await verdict(verifier, 's1'), 'invalid_token', 'the isolate was frozen')
  issuer.revoked.push('s3')
  freeze(-4)
  await pass(10)
  t.equal(await verdict(verifier, 's3'), 'invalid_token', 'the system clock was set back')
})

t.test('an unknown kid is searched for, and a flood of them is no flood of requests', async (t) => {
  const { create, issuer, now, until, verdict } = storeWorld(t)
  const verifier = create({ ...ON_DEMAND, revocations: false })
  await verdict(verifier, 's1')
  const forged = (await token('s1', now())).split('.')
  for (let i = 0; i < 50; i += 1) {
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', typ: 'at+jwt', kid: `kid-${i}` })).toString('base64url')
    const text = [header, forged[1], forged[2]].join('.')
    const code = await until(verifier.verify(text).catch(({ code }) => code))
    t.equal(code, 'invalid_token')
  }
  t.ok(issuer.count('jwks') <= 3, `${issuer.count('jwks')} requests`)
})

t.test('hydrate resolves when keys and feed are there; closed, nobody waits', async (t) => {
  const { create, issuer, until, verdict, pass } = storeWorld(t)
  const verifier = create(ON_DEMAND)
  await until(verifier.hydrate())
  t.equal(issuer.asked.length, 2)
  await pass(20)
  verifier.close()
  t.equal(await verdict(verifier, 's1'), 'good')
  t.equal(issuer.asked.length, 2)
})

t.test('options that have no effect, and values that are none, are refused by name', async (t) => {
  const make = (options: object) => () =>
    createVerifier({ issuer: 'https://signet.example', audience: 'me', ...options } as VerifierOptions)
  const feed = { mode: 'on-demand', revocations: true }
  for (const [options, message] of [
    [{ mode: 'ondemand' }, /^mode: "follow" or "on-demand"/],
    [{ mode: null }, /^mode/],
    [{ maxFeedAge: 5, revocations: true }, /^maxFeedAge, waitUntil: .* no effect/],
    [{ waitUntil: () => undefined }, /^maxFeedAge, waitUntil: .* no effect/],
    [{ mode: 'on-demand', maxFeedAge: 5 }, /^maxFeedAge: .* no effect without revocations/],
    ...[0, -1, 0.5, 3601, Number.NaN, Number.POSITIVE_INFINITY, '10', null].map(
      (maxFeedAge) => [{ ...feed, maxFeedAge }, /^maxFeedAge: a number of seconds from 1 to 3600/] as const,
    ),
    [{ ...feed, waitUntil: {} }, /^waitUntil: a function/],
    ...[null, {}, { get: async () => undefined }, 'redis', 7].map(
      (store) => [{ store }, /^store: an object with the functions get and put/] as const,
    ),
  ] as const)
    t.throws(make(options), { name: 'TypeError', message }, JSON.stringify(options))
  for (const options of [{}, { mode: 'follow' }, { ...feed, maxFeedAge: 1 }, { ...feed, maxFeedAge: 3600 }])
    t.doesNotThrow(make(options))
})

t.test('a call with an option that is none fails, also for a good token', async (t) => {
  const { create, until, now, verdict } = storeWorld(t)
  const [onDemand, follow, unrevoked] = [create(ON_DEMAND), create(), create({ ...ON_DEMAND, revocations: false })]
  for (const verifier of [onDemand, follow, unrevoked]) t.equal(await verdict(verifier, 's1'), 'good')
  const good = await token('s1', now())
  for (const [verifier, call, message] of [
    [onDemand, { maxFeedAge: 0 }, /^maxFeedAge: a number/],
    [onDemand, { maxFeedAge: '5' }, /^maxFeedAge: a number/],
    [onDemand, { maxAge: 5 }, /^maxAge: there is no such option of a call/],
    [onDemand, { waitUntil: 1 }, /^waitUntil: a function/],
    [follow, { maxFeedAge: 5 }, /^maxFeedAge: it has no effect/],
    [unrevoked, { maxFeedAge: 5 }, /^maxFeedAge: it has no effect/],
  ] as const) {
    const expected = { name: 'TypeError', message }
    await t.rejects(until(verifier.verify(good, call as never)), expected)
    const request = { rawHeaders: ['Authorization', `Bearer ${good}`] }
    await t.rejects(until(verifier.authenticate(request, {}, call as never)), expected)
  }
  t.ok(await until(follow.verify(good, { waitUntil: () => undefined })), 'adapters may always pass waitUntil')
})
