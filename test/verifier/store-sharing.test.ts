import t from 'tap'
import { memoryStore, storeWorld, token } from './store-world.ts'

const ON_DEMAND = { mode: 'on-demand' } as const
const THOUSAND = 1000

t.test('a thousand isolates that start cold ask for keys and feed at most five times each', async (t) => {
  const upTo = (most: number) => () => Math.random() * most
  for (const [what, slow, apart] of [
    ['at the same moment', upTo(20), () => 0],
    ['within two seconds', upTo(20), upTo(2000)],
  ] as const) {
    const { create, issuer, delay, until, now } = storeWorld(t)
    const { store } = memoryStore(delay, slow)
    issuer.revoked.push('s1')
    const tokens = [await token('s1', now()), await token('s2', now())]
    const start = async (i: number) => {
      await delay(apart())
      const verifier = create({ ...ON_DEMAND, store })
      const verdict = await verifier.verify(tokens[i % 2] ?? '').then(
        () => 'good',
        ({ code }) => code,
      )
      return `s${(i % 2) + 1} ${verdict}`
    }
    const all = await until(Promise.all(Array.from({ length: THOUSAND }, (_, i) => start(i))))
    t.strictSame([...new Set(all)].sort(), ['s1 invalid_token', 's2 good'], what)
    t.ok(issuer.count('jwks') >= 1 && issuer.count('jwks') <= 5, `${what}: ${issuer.count('jwks')} requests for keys`)
    t.ok(issuer.count('after=') <= 5, `${what}: ${issuer.count('after=')} requests for the feed`)
  }
})

t.test(
  'warm isolates that share a store look at the feed once for each maxFeedAge, and not each of them',
  async (t) => {
    const { create, issuer, delay, pass, until, now } = storeWorld(t)
    const { store } = memoryStore(delay)
    const isolates = Array.from({ length: 50 }, () => create({ ...ON_DEMAND, store }))
    for (let round = 0; round < 6; round += 1) {
      const sid = `s${round}`
      const text = await token(sid, now())
      const verdicts = await until(Promise.all(isolates.map((one) => one.verify(text).catch(({ code }) => code))))
      t.equal(verdicts.filter((one) => one === 'invalid_token').length, round === 0 ? 0 : 50, `round ${round}`)
      issuer.revoked.push(`s${round + 1}`)
      await pass(10)
    }
    t.ok(issuer.count('after=') <= 12, `${issuer.count('after=')} requests in six rounds of fifty`)
    t.equal(issuer.count('jwks'), 1)
  },
)

t.test('a cold isolate goes on from the copy of another one, and asks only for what is new', async (t) => {
  const { create, issuer, delay, pass, verdict } = storeWorld(t)
  const { store } = memoryStore(delay)
  issuer.revoked.push('s1')
  await verdict(create({ ...ON_DEMAND, store }), 's2')
  await pass(30)
  issuer.revoked.push('s3')
  issuer.asked.length = 0
  const cold = create({ ...ON_DEMAND, store })
  for (const [sid, expected] of [
    ['s1', 'invalid_token'],
    ['s3', 'invalid_token'],
    ['s2', 'good'],
  ] as const)
    t.equal(await verdict(cold, sid), expected, sid)
  t.strictSame(issuer.asked, ['/.well-known/revocations?after=h1.1'])
})

t.test('an issuer that is away is not asked by every isolate', async (t) => {
  const { create, issuer, delay, pass, until, now } = storeWorld(t)
  const { store } = memoryStore(delay)
  issuer.isDown = true
  const text = await token('s2', now())
  const isolates = Array.from({ length: 100 }, () => create({ ...ON_DEMAND, store }))
  const round = () => until(Promise.all(isolates.map((one) => one.verify(text).catch(({ code }) => code))))
  for (let second = 0; second < 20; second += 1) {
    t.strictSame([...new Set(await round())], ['keys_unavailable'])
    await pass(1)
  }
  t.ok(issuer.asked.length <= 40, `${issuer.asked.length} requests by a hundred in 20 seconds`)
  issuer.isDown = false
  await pass(3)
  await round()
  await pass(1)
  t.strictSame([...new Set((await round()).map((one) => one.sid ?? one))], ['s2'])
})
