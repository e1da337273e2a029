import t from 'tap'
import { resolveOptions } from '../../src/verifier/options.ts'
import { first, firstPrivate, jwks, outage, remote, second, UNAVAILABLE } from './remote.ts'

t.test('the keys are fetched once, kept for max-age, and fetched again behind the scenes', async (t) => {
  const { keys, requests, pass } = remote(t, () => jwks([first]))
  await Promise.all([keys.hydrate(), keys.hydrate(), keys.seek(first.kid)])
  t.equal(requests.length, 1, 'one request for all who wait')
  t.match(keys.verificationPem(first.kid), /BEGIN PUBLIC KEY/)
  await pass(59)
  t.equal(requests.length, 1)
  await pass(1)
  t.equal(requests.length, 2)
})

t.test('an answer says how long it may be kept, within reason', async (t) => {
  for (const [said, kept] of [
    ['max-age=0', 5],
    ['no-store', 300],
    ['max-age=99999999999', 86_400],
    ['max-age=999999999', 86_400],
    ['public, Max-Age=60', 60],
    ['s-max-age=7', 300],
  ] as const) {
    const { keys, requests, pass } = remote(t, () => jwks([first], { 'cache-control': said }))
    await keys.hydrate()
    await pass(kept - 1)
    t.equal(requests.length, 1, said)
    await pass(1)
    t.equal(requests.length, 2, said)
  }
})

t.test('the age of a copy that a shared cache sends counts (RFC 9111 section 4.2.3)', async (t) => {
  for (const [maxAge, age, kept] of [
    ['60', '0', 60],
    ['60', '40', 20],
    ['60', ' 59 ', 1],
    ['60', '60', 1],
    ['60', '999999999', 1],
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

t.test('closed in the middle of a request: its answer starts nothing', async (t) => {
  for (const answer of [() => jwks([first]), outage]) {
    const late = Promise.withResolvers<void>()
    const { keys, requests, pass } = remote(t, async () => {
      await late.promise
      return answer()
    })
    const hydrated = keys.hydrate().catch(() => undefined)
    keys.close()
    late.resolve()
    await hydrated
    await pass(3600)
    t.equal(requests.length, 1)
  }
})

t.test('a JWKS that did not change is not sent again', async (t) => {
  let tag: string | null = null
  const { keys, requests, pass } = remote(t, () => {
    tag = new Headers(requests.at(-1)?.headers).get('if-none-match')
    return tag === null
      ? jwks([first], { etag: '"one"', 'cache-control': 'max-age=60' })
      : new Response(null, { status: 304 })
  })
  await keys.hydrate()
  await pass(60)
  t.equal(tag, '"one"')
  t.ok(keys.verificationPem(first.kid))
  await pass(300)
  t.equal(requests.length, 3, 'a 304 without max-age is kept for the default')
})

t.test('when the issuer is away the keys go on being good, up to a ceiling', async (t) => {
  let answer = () => jwks([first])
  const { keys, requests, events, pass } = remote(t, () => answer())
  await keys.hydrate()
  answer = outage
  for (let minute = 0; minute < 60; minute += 1) await pass(60)
  t.ok(keys.verificationPem(first.kid), 'an hour later')
  t.ok(requests.length > 30 && requests.length < 200, `${requests.length} requests: tried again, with pauses`)
  t.match(events.at(-1), { type: 'keys_failed', reason: /fetch failed/ })
  await pass(60)
  t.equal(keys.verificationPem(first.kid), undefined, 'past max-age and the ceiling')
  await t.rejects(keys.seek(first.kid), UNAVAILABLE)
  answer = () => jwks([first])
  await pass(60)
  t.ok(keys.verificationPem(first.kid), 'back by itself')
})

t.test('a failure after a recovery is as the first one: the next request comes soon', async (t) => {
  let answer = outage as () => Response
  const { keys, requests, pass } = remote(t, () => answer())
  await t.rejects(keys.hydrate(), UNAVAILABLE)
  for (let i = 0; i < 10; i += 1) await pass(30)
  answer = () => jwks([first])
  await pass(30)
  t.ok(keys.verificationPem(first.kid))
  answer = outage
  await pass(60)
  const { length } = requests
  await pass(0.5)
  t.equal(requests.length, length + 1)
})

t.test('a withdrawn key is not used again, whatever the JWKS says', async (t) => {
  const { keys, requests, pass } = remote(t, () => jwks([first, second]))
  await keys.hydrate()
  keys.withdraw([first.kid])
  t.equal(keys.verificationPem(first.kid), undefined)
  t.ok(keys.verificationPem(second.kid))
  await keys.seek(first.kid)
  t.equal(requests.length, 1, 'and is not looked for')
  await pass(60)
  t.equal(keys.verificationPem(first.kid), undefined)
})

t.test('a JWKS that is none, or holds no usable key, leaves the old keys in force', async (t) => {
  let answer = () => jwks([first])
  const { keys, pass } = remote(t, () => answer())
  await keys.hydrate()
  const bad: Record<string, () => Response> = {
    'not JSON': () => new Response('<html>'),
    'not a set': () => new Response('[]'),
    'no list': () => new Response('{"keys":{}}'),
    empty: () => jwks([]),
    'another algorithm': () => jwks([{ ...first, alg: 'PS256' }]),
    'no algorithm': () => jwks([{ ...first, alg: undefined }]),
    'for encryption': () => jwks([{ ...first, use: 'enc' }]),
    'a private key': () => jwks([{ ...first, ...firstPrivate.export({ format: 'jwk' }) }]),
    'more keys than anybody has': () => jwks([...Array(64).fill(null), first]),
    symmetric: () => jwks([{ kty: 'oct', k: 'c2VjcmV0', kid: first.kid, alg: 'RS256' }]),
    'exponent 1': () => jwks([{ ...first, e: 'AQ' }]),
    'a small key': () => jwks([{ ...first, n: first.n.slice(0, 170) }]),
    'another kid': () => jwks([{ ...second, kid: first.kid }]),
    huge: () => new Response(JSON.stringify({ keys: [first], more: 'x'.repeat(300_000) })),
    'no UTF-8': () => new Response(Buffer.from([0x7b, 0xff, 0x7d])),
    'status 500': () => new Response('{}', { status: 500 }),
    'an unasked 304': () => new Response(null, { status: 304 }),
  }
  for (const [name, serve] of Object.entries(bad)) {
    answer = serve
    await pass(60)
    t.ok(keys.verificationPem(first.kid), name)
    const fresh = remote(t, serve)
    await t.rejects(fresh.keys.hydrate(), UNAVAILABLE, name)
    t.equal(fresh.keys.verificationPem(first.kid), undefined, name)
  }
})

t.test('one bad key does not take the others with it', async (t) => {
  const { keys } = remote(t, () => jwks([null, 'x', 7, { kty: 'EC' }, { ...first, n: '' }, second]))
  await keys.hydrate()
  t.ok(keys.verificationPem(second.kid))
  t.equal(keys.verificationPem(first.kid), undefined)
})

t.test('a kid that names an inherited member is unknown', async (t) => {
  const { keys } = remote(t, () => jwks([first]))
  await keys.hydrate()
  for (const kid of ['constructor', '__proto__', 'toString', '']) t.equal(keys.verificationPem(kid), undefined, kid)
})

t.test('an issuer that is no safe address is refused at once', async (t) => {
  const make = (issuer: string) => () => resolveOptions({ issuer, audience: 'me' })
  for (const issuer of [
    'http://signet.example',
    'ftp://signet.example',
    'signet.example',
    '',
    'https://a:b@signet.example',
    'http://127.0.0.1.evil.example',
    'https://signet.example?a=b',
    'https://signet.example#a',
    '\thttps://signet.example/',
  ])
    t.throws(make(issuer), { name: 'TypeError', message: /issuer|jwksUri/ }, issuer)
  for (const issuer of ['https://signet.example/', 'https://signet.example/a/', 'http://localhost:3000/'])
    t.throws(make(issuer), {
      name: 'TypeError',
      message: /^issuer: "http.*" ends with a slash, .* leave the slash out$/,
    })
  for (const issuer of [
    'https://signet.example',
    'https://signet.example/a',
    'http://localhost:3000',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
  ])
    t.doesNotThrow(make(issuer), issuer)
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
