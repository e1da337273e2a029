import t from 'tap'
import { resolveOptions } from './node-options.ts'
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
  for (const unused of [{ onStale: 'reject' }, { revocationsUri: 'https://signet.example/feed' }] as const)
    t.throws(() => resolveOptions({ issuer: 'https://signet.example', audience: 'me', ...unused }), /no effect without/)
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
