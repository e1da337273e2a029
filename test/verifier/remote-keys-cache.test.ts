import t from 'tap'
import { resolveOptions } from './node-options.ts'
import { first, jwks, outage, remote, second, UNAVAILABLE } from './remote.ts'

t.test('the age of a copy that a shared cache sends counts (RFC 9111 section 4.2.3)', async (t) => {
  for (const [maxAge, age, kept] of [
    ['60', '0', 60],
    ['60', '40', 20],
    ['60', ' 59 ', 1],
    ['60', '60', 1],
    ['3', '2', 3], // below the least, which is 5
    ['60', '40, 10', 20],
    ['60', '-5', 60],
    ['60', 'soon', 60],
    ['60', '9999999999', 60],
  ] as const) {
    const { keys, requests, pass } = remote(t, () => jwks([first], { 'cache-control': `max-age=${maxAge}`, age }))
    await keys.hydrate()
    await pass(kept - 0.5)
    t.equal(requests.length, 1, `${maxAge}, ${age}`)
    await pass(0.5)
    t.equal(requests.length, 2, `${maxAge}, ${age}`)
    t.ok(keys.verificationPem(first.kid), `${maxAge}, ${age}: good meanwhile`)
  }
})

t.test('a copy that is older than keysMaxStale allows is no key, however often a cache sends it', async (t) => {
  const { keys, requests } = remote(t, () => jwks([first], { 'cache-control': 'max-age=60', age: '999999999' }))
  await keys.hydrate().catch(() => undefined)
  t.equal(keys.verificationPem(first.kid), undefined)
  const asked = requests.length
  for (let n = 0; n < 20; n += 1) await keys.seek(`unknown-${n}`).catch(() => undefined)
  t.ok(requests.length <= asked + 1, 'and it is not asked for each unknown kid')
})

t.test('the time that an answer took counts as age too', async (t) => {
  const late = Promise.withResolvers<void>()
  const { keys, requests, pass, stall } = remote(t, async () => {
    await late.promise
    return jwks([first])
  })
  const hydrated = keys.hydrate()
  stall(4)
  late.resolve()
  await hydrated
  await pass(55.5)
  t.equal(requests.length, 1)
  await pass(0.5)
  t.equal(requests.length, 2)
})

t.test('an old copy of a shared cache forgets no new key and brings back no revoked one', async (t) => {
  let answer = () => jwks([first])
  const { keys, requests, pass } = remote(t, () => answer())
  await keys.hydrate()
  await pass(30)
  answer = () => jwks([second]) // `first` was revoked
  await keys.seek(second.kid)
  t.same(
    [first, second].map(({ kid }) => keys.verificationPem(kid) !== undefined),
    [false, true],
  )
  answer = () => jwks([first], { 'cache-control': 'max-age=60', age: '90' })
  await pass(60)
  t.equal(requests.length, 3)
  t.same(
    [first, second].map(({ kid }) => keys.verificationPem(kid) !== undefined),
    [false, true],
    'an old copy',
  )
  await pass(1)
  t.equal(requests.length, 4, 'which is over, so another is asked for soon')
  answer = () => jwks([first, second], { 'cache-control': 'max-age=60', age: '2' })
  await pass(1)
  t.same(
    [first, second].map(({ kid }) => keys.verificationPem(kid) !== undefined),
    [true, true],
    'a newer one counts',
  )
})

t.test('without keys the issuer is asked again within 2 s, however long it was away', async (t) => {
  let answer = outage as () => Response
  const { keys, requests, pass } = remote(t, () => answer())
  await t.rejects(keys.hydrate(), UNAVAILABLE)
  for (let second = 0; second < 600; second += 1) await pass(1)
  t.ok(requests.length >= 290 && requests.length < 310, `${requests.length} requests in ten minutes`)
  answer = () => jwks([first])
  await pass(2)
  t.ok(keys.verificationPem(first.kid))
})

t.test('after a standstill in which the copy ended, tokens wait for one look', async (t) => {
  const late = Promise.withResolvers<Response>()
  let answer: () => Response | Promise<Response> = () => jwks([first])
  const { keys, requests, pass, stall } = remote(t, () => answer())
  t.equal(keys.due(), undefined, 'without keys there is nothing that could be old')
  await keys.hydrate()
  stall(30)
  t.equal(keys.due(), undefined, 'still fresh')
  answer = () => late.promise
  stall(30)
  const look = keys.due()
  t.equal(keys.due(), look, 'the same for all')
  t.ok(keys.verificationPem(first.kid), 'and the keys are good meanwhile')
  late.resolve(jwks([second]))
  await look
  t.equal(keys.verificationPem(first.kid), undefined, 'revoked meanwhile')
  t.equal(keys.due(), undefined)
  t.equal(requests.length, 2)

  answer = outage
  stall(3600)
  await keys.due()
  t.equal(keys.due(), undefined, 'the issuer is away: asked once, and the keys stay good')
  t.ok(keys.verificationPem(second.kid))
  t.equal(requests.length, 3)
  await pass(0.5)
  t.equal(keys.due(), undefined)
})

t.test('plain http inside a cluster is possible for who says so, and never silent', async (t) => {
  const warnings: Error[] = []
  const warned = (warning: Error) => void warnings.push(warning)
  process.on('warning', warned)
  t.teardown(() => process.off('warning', warned))
  const issuer = 'http://signet.auth.svc:3000'
  const audience = 'me'
  const message = /http:\/\/signet.auth.svc:3000 is not https.*`insecureIssuer: true`/
  for (const insecureIssuer of [false, undefined])
    t.throws(() => resolveOptions({ issuer, audience, insecureIssuer } as never), { name: 'TypeError', message })
  for (const insecureIssuer of [null, 'true', 1])
    t.throws(() => resolveOptions({ issuer, audience, insecureIssuer } as never), { name: 'TypeError' })
  t.throws(() => resolveOptions({ issuer: 'ftp://a', audience, insecureIssuer: true }), { name: 'TypeError' })
  const jwksUri = 'http://signet:3000/jwks'
  t.throws(() => resolveOptions({ issuer: 'https://signet.example', audience, jwksUri }), { message: /^jwksUri: / })

  t.equal(resolveOptions({ issuer, audience, insecureIssuer: true }).jwksUri.origin, issuer)
  resolveOptions({ issuer: 'https://signet.example', audience, insecureIssuer: true })
  resolveOptions({ issuer: 'http://localhost', audience, insecureIssuer: true })
  await new Promise((resolve) => setImmediate(resolve))
  const ours = warnings.filter((warning) => (warning as { code?: string }).code === 'SIGNET_INSECURE_ISSUER')
  t.equal(ours.length, 1)
  t.match(ours[0]?.message, /http:\/\/signet.auth.svc:3000 is reached over plain http/)
})
