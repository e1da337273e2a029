import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { resolveOptions, type VerifierEvent } from '../../src/verifier/options.ts'
import { createRemoteKeys } from '../../src/verifier/remote-keys.ts'

mock.timers.enable({ apis: ['setTimeout'] })

const [first, second] = await Promise.all([0, 1].map(async () => publicJwk(await generatePrivateKey(2048))))
if (first === undefined || second === undefined) throw new Error('no keys')
const unknown = (n: number) => `unknown-${n}`

/** Keys of an issuer whose answers, and whose clock, the test says. */
function remote(t: Test, answer: () => Response | Promise<Response>) {
  const clock = { milliseconds: 0 }
  const requests: RequestInit[] = []
  const events: VerifierEvent[] = []
  const options = resolveOptions({
    issuer: 'https://signet.example',
    audience: 'me',
    keysMaxStale: 3600,
    onEvent: (event) => void events.push(event),
    fetch: async (_url, init) => {
      requests.push(init ?? {})
      return answer()
    },
  })
  const keys = createRemoteKeys(options, () => clock.milliseconds)
  t.teardown(() => {
    keys.close()
  })
  const pass = async (seconds: number) => {
    clock.milliseconds += seconds * 1000
    mock.timers.tick(seconds * 1000)
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { keys, requests, events, pass }
}

const jwks = (keys: unknown[], headers: Record<string, string> = { 'cache-control': 'public, max-age=60' }) =>
  new Response(JSON.stringify({ keys }), { headers })
const outage = () => {
  throw new TypeError('fetch failed')
}
const UNAVAILABLE = { code: 'keys_unavailable', status: 503 }

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

t.test('an unknown kid is looked for at once, and a key that was just made is found', async (t) => {
  let published = [first]
  const { keys, requests } = remote(t, () => jwks(published))
  await keys.hydrate()
  published = [first, second]
  t.equal(keys.verificationPem(second.kid), undefined)
  await Promise.all([keys.seek(second.kid), keys.seek(second.kid)])
  t.ok(keys.verificationPem(second.kid))
  t.equal(requests.length, 2)
})

t.test('a flood of unknown kids is no flood of requests', async (t) => {
  const { keys, requests, pass } = remote(t, () => jwks([first], { 'cache-control': 'max-age=86400' }))
  await keys.hydrate()
  for (let second = 0; second < 600; second += 1) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => keys.seek(unknown(second * 20 + i))))
    await pass(1)
  }
  t.ok(requests.length < 70, `12,000 kids in ten minutes led to ${requests.length} requests`)
  t.ok(keys.verificationPem(first.kid))
})

t.test('one unknown kid, again and again, is looked for every ten seconds', async (t) => {
  const { keys, requests, pass } = remote(t, () => jwks([first], { 'cache-control': 'max-age=86400' }))
  await keys.hydrate()
  for (let second = 0; second < 180; second += 1) {
    await keys.seek('the same')
    await pass(1)
  }
  t.ok(requests.length > 15 && requests.length < 25, `${requests.length} in three minutes`)
})

t.test('what strangers look for in vain does not stand in the way of an urgent look-up', async (t) => {
  let published = [first]
  const { keys, pass } = remote(t, () => jwks(published, { 'cache-control': 'max-age=86400' }))
  await keys.hydrate()
  for (let i = 0; i < 10; i += 1) {
    await keys.seek(unknown(i))
    await pass(10)
  }
  await keys.seek(second.kid) // a moment too early: this one too was in vain
  published = [first, second]
  await keys.seek(second.kid)
  t.equal(keys.verificationPem(second.kid), undefined, 'a token waits for the cool-down')
  await keys.seek(second.kid, true)
  t.ok(keys.verificationPem(second.kid), 'the feed does not')
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

t.test('a token whose kid nobody can look for is not called bad', async (t) => {
  const { keys, pass } = remote(t, outage)
  await t.rejects(keys.hydrate(), UNAVAILABLE)
  await t.rejects(keys.seek(first.kid), UNAVAILABLE)
  await pass(10)
  await t.rejects(keys.seek(first.kid), UNAVAILABLE)
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
    'a private key': () => jwks([{ ...first, d: 'AQAB' }]),
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
  ])
    t.throws(make(issuer), { name: 'TypeError', message: /issuer|jwksUri/ }, issuer)
  for (const issuer of [
    'https://signet.example',
    'https://signet.example/a',
    'http://localhost:3000',
    'http://127.0.0.1:3000',
    'http://[::1]:3000',
  ])
    t.doesNotThrow(make(issuer), issuer)
})
