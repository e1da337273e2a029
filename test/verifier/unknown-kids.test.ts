import t, { type Test } from 'tap'
import type { VerifierOptions } from '../../src/verifier/options.ts'
import { first, jwks, outage, remote, second, UNAVAILABLE, unknown } from './remote.ts'

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

t.test('a token whose kid nobody can look for is not called bad', async (t) => {
  const { keys, pass } = remote(t, outage)
  await t.rejects(keys.hydrate(), UNAVAILABLE)
  await t.rejects(keys.seek(first.kid), UNAVAILABLE)
  await pass(10)
  await t.rejects(keys.seek(first.kid), UNAVAILABLE)
})

for (const kid of ['vain', 'v'.repeat(300)]) {
  t.test(
    `a kid of ${kid.length} characters that was just looked for in vain is not looked for again, and nobody else waits for it`,
    async (t) => {
      const { keys, requests, pass } = remote(t, () => jwks([first], { 'cache-control': 'max-age=86400' }))
      await keys.hydrate()
      await keys.seek(kid)
      t.equal(requests.length, 2)
      await pass(3) // more than the cool-down
      await keys.seek(kid)
      t.equal(requests.length, 2)
      await keys.seek('another')
      t.equal(requests.length, 3)
      await pass(4)
      await keys.seek(kid)
      t.equal(requests.length, 4, 'but a while later it is: it may have been made meanwhile')
    },
  )
}

t.test('a key that was found ends the long pauses that strangers caused', async (t) => {
  let published = [first]
  const { keys, requests, pass } = remote(t, () => jwks(published, { 'cache-control': 'max-age=86400' }))
  await keys.hydrate()
  for (let i = 0; i < 5; i += 1) {
    await keys.seek(unknown(i))
    await pass(10)
  }
  published = [first, second]
  await keys.seek(second.kid)
  t.ok(keys.verificationPem(second.kid))
  const { length } = requests
  await pass(1)
  await keys.seek(unknown(9))
  t.equal(requests.length, length + 1)
})

t.test('a key that was made while an older JWKS was on its way is found', async (t) => {
  const older = Promise.withResolvers<Response>()
  const answers: (() => Response | Promise<Response>)[] = [() => older.promise, () => jwks([first, second])]
  const { keys, requests } = remote(t, () => answers.shift()?.() ?? outage())
  const hydrated = keys.hydrate()
  const sought = keys.seek(second.kid)
  older.resolve(jwks([first]))
  await Promise.all([hydrated, sought])
  t.ok(keys.verificationPem(second.kid))
  t.equal(requests.length, 2)
})

t.test('while the issuer is away kids cause no requests at all: they wait for the next try', async (t) => {
  let answer = () => jwks([first])
  const { keys, requests, pass } = remote(t, () => answer())
  await keys.hydrate()
  answer = outage
  await pass(60)
  const { length } = requests
  for (let i = 0; i < 20; i += 1) await t.rejects(keys.seek(unknown(i)), UNAVAILABLE)
  t.equal(requests.length, length)

  const never = remote(t, outage)
  await t.rejects(never.keys.hydrate(), UNAVAILABLE)
  for (let i = 0; i < 20; i += 1) await t.rejects(never.keys.seek(unknown(i)), UNAVAILABLE)
  t.equal(never.requests.length, 1)
})

t.test('without keys no cool-down holds: it would call a good token bad', async (t) => {
  const { keys, requests, stall } = remote(t, outage)
  await t.rejects(keys.seek(first.kid), UNAVAILABLE)
  stall(0.6) // past the pause after a failure, and no timer has fired yet
  await t.rejects(keys.seek(first.kid), UNAVAILABLE)
  t.equal(requests.length, 2)
})

/** A cache that takes no notice of `no-cache`, keyed by URL, before an issuer whose keys the test says. */
function behindCache(t: Test, changes: Partial<VerifierOptions> = {}) {
  const issuer = { published: [first] }
  const cached = new Map<string, string>()
  const serve = (url: URL) => {
    const body = cached.get(url.href) ?? JSON.stringify({ keys: issuer.published })
    cached.set(url.href, body)
    return new Response(body, { headers: { 'cache-control': 'max-age=600' } })
  }
  return { issuer, ...remote(t, serve, changes) }
}

for (const urgent of [false, true]) {
  t.test(`a cache can't answer a search with an old copy${urgent ? ', of the feed either' : ''}`, async (t) => {
    const { issuer, keys, urls, requests } = behindCache(t)
    await keys.hydrate()
    issuer.published = [first, second]
    await keys.seek(second.kid, urgent)
    t.ok(keys.verificationPem(second.kid))
    t.same(
      urls.map(({ search }) => search),
      ['', `?kid=${second.kid}`],
    )
    t.equal(new Headers(requests[1]?.headers).get('cache-control'), 'no-cache')
  })
}

t.test('the kid is added to any URL, encoded and bounded', async (t) => {
  const rows: [jwksUri: string, kid: string, search: string][] = [
    ['https://cdn.example/jwks', 'a b&c=d#e/ü', '?kid=a+b%26c%3Dd%23e%2F%C3%BC'],
    ['https://cdn.example/jwks?', 'a', '?kid=a'],
    ['https://cdn.example/jwks?v=1&sig=a%20b+c', 'a', '?v=1&sig=a%20b+c&kid=a'],
    ['https://cdn.example/jwks?flag', '\ud800', '?flag&kid=%EF%BF%BD'],
    ['https://cdn.example/jwks', 'x'.repeat(3000), `?kid=${'x'.repeat(255)}`],
  ]
  for (const [jwksUri, kid, search] of rows) {
    const { keys, urls } = remote(t, () => jwks([first]), { jwksUri })
    await keys.hydrate()
    await keys.seek(kid)
    t.same(
      urls.map((url) => url.href),
      [new URL(jwksUri).href, `${jwksUri.split('?')[0]}${search}`],
    )
  }
})
