import t from 'tap'
import { assertDemands, authorize, toResponse } from '../../src/verifier/index.ts'
import { bearer, newUser } from '../support/app.ts'
import { code, verifying } from './verifying.ts'

t.test('claims that are not known are kept, frozen, and shared by nobody who could change them', async (t) => {
  const { verifier, mint } = await verifying(t)
  const others = { tenant: { id: 7, groups: ['a', { b: 1 }] }, 'https://example.com/plan': 'pro', email: null }
  const token = mint.token({ claims: { ...others, ['__proto__']: { roles: ['admin'] } } })
  for (const time of ['first', 'from the cache']) {
    const claims = (await verifier.verify(token)) as unknown as typeof others & { roles?: unknown }
    t.match(claims, others, time)
    t.equal(claims.roles, undefined)
    for (const object of [claims, claims.tenant, claims.tenant.groups, claims.tenant.groups[1]])
      t.ok(Object.isFrozen(object), time)
  }
})

for (const onStale of ['accept', 'reject'] as const) {
  t.test(`${onStale}: the first token after a start waits for the feed`, async (t) => {
    const { server, mint, another } = await verifying(t)
    const revoked = await newUser(server.app)
    await server.app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(revoked.token) })
    const reachable = Promise.withResolvers<void>()
    const restarted = another({ revocations: true, onStale }, () => reachable.promise)
    const verdicts = [revoked.token, mint.token()].map((token) => code(restarted.verify(token)))
    const forged = mint.token({}, () => Buffer.alloc(256, 1))
    t.equal(await code(restarted.verify(forged)), 'invalid_token', 'a bad token does not wait')
    reachable.resolve()
    t.same(await Promise.all(verdicts), ['invalid_token', 'good'])
    t.match(restarted.verifyNow(mint.token()), { sub: 'minted-subject' }, 'and from then on nobody waits')
  })

  t.test(`${onStale}: without a feed the first token waits for one try, and onStale decides`, async (t) => {
    const { mint, another } = await verifying(t)
    const verifier = another({ revocations: true, onStale }, () => Promise.reject(new TypeError('fetch failed')))
    t.equal(await code(verifier.verify(mint.token())), onStale === 'accept' ? 'good' : 'revocations_stale')
  })

  t.test(`${onStale}: a runtime that is frozen between two calls knows what was revoked meanwhile`, async (t) => {
    const { server, verifier, issuer, clock } = await verifying(t, { revocations: true, onStale })
    await verifier.hydrate()
    const [stays, goes] = [await newUser(server.app), await newUser(server.app)]
    for (const seconds of [20, 60, 120, 200]) {
      t.equal(await code(verifier.verify(stays.token)), 'good')
      issuer.down = true // what was under way is lost
      if (seconds === 60) {
        await server.app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(goes.token) })
      }
      clock.seconds += seconds
      issuer.down = false
      t.equal(await code(verifier.verify(stays.token)), 'good', `${seconds} s`)
      if (seconds >= 60) t.equal(await code(verifier.verify(goes.token)), 'invalid_token', `${seconds} s`)
    }
  })
}

t.test('the JWKS is answered whatever its query says, so that a search passes any cache', async (t) => {
  const { server } = await verifying(t)
  const url = '/.well-known/jwks.json'
  const plain = await server.app.inject(url)
  for (const query of ['?kid=x', '?kid=a+b%26c&v=1', '?kid=a&kid=b', '?', `?kid=${'x'.repeat(255)}`]) {
    const reply = await server.app.inject(url + query)
    t.same([reply.statusCode, reply.body], [200, plain.body], query)
  }
})

/** Headers of a runtime that gives this text as it is. */
const fetched = (authorization: string) =>
  ({ [Symbol.toStringTag]: 'Headers', get: () => authorization }) as unknown as Headers

t.test('the token is found wherever an adapter or a mock has put the headers', async (t) => {
  const { verifier, mint } = await verifying(t)
  const value = `Bearer ${mint.token()}`
  const rows: [what: string, request: object, verdict: string][] = [
    ['headers alone', { headers: { authorization: value } }, 'good'],
    ['no raw headers', { rawHeaders: [], headers: { authorization: value } }, 'good'],
    ['raw headers undefined', { rawHeaders: undefined, headers: { host: 'x', Authorization: value } }, 'good'],
    ['raw headers null', { rawHeaders: null, headers: { AUTHORIZATION: [value] } }, 'good'],
    ['Headers of a Fetch request', { headers: new Headers({ authorization: value }) }, 'good'],
    ['a Fetch request', new Request('https://a.example', { headers: { authorization: value } }), 'good'],
    ['white space that a runtime kept', { headers: fetched(`${value} \t`) }, 'good'],
    ...[`${value}, ${value}`, `${value}, `, `, ${value}`, `Basic YTpi, ${value}`, `${value}, Basic YTpi`].map(
      (two): [string, object, string] => [
        `lines that became one: ${two.length}`,
        { headers: fetched(two) },
        'invalid_request',
      ],
    ),
    ['another scheme with commas', { headers: fetched('Digest username="bearer", realm="a"') }, 'missing_token'],
    ['a Fetch request', new Request('http://x', { headers: { authorization: value } }), 'good'],
    ['a Map', { headers: new Map([['Authorization', value]]) }, 'good'],
    ['two values', { headers: { authorization: [value, value] } }, 'invalid_request'],
    ['two spellings', { headers: { authorization: value, Authorization: value } }, 'invalid_request'],
    ['two lines joined', { headers: { authorization: `${value}, ${value}` } }, 'invalid_token'],
    ['raw headers decide', { rawHeaders: ['Host', 'x'], headers: { authorization: value } }, 'missing_token'],
    ['inherited', { headers: Object.create({ authorization: value }) }, 'missing_token'],
    ['no text', { headers: { authorization: 7 } }, 'missing_token'],
    ['undefined', { headers: { authorization: undefined } }, 'missing_token'],
    ['empty', { headers: {} }, 'missing_token'],
    ['neither', {}, 'missing_token'],
    ['null', { headers: null }, 'missing_token'],
  ]
  for (const [what, request, expected] of rows)
    t.equal(await code(verifier.authenticate(request as never)), expected, what)
})

t.test('a slip in demands is refused, whoever asks', async (t) => {
  const { verifier, mint } = await verifying(t)
  const claims = await verifier.verify(mint.token({ claims: { auth_time: mint.now, roles: ['a'], scope: 'a' } }))
  const request = { headers: { authorization: `Bearer ${mint.token()}` } }
  const rows: [demands: unknown, message: RegExp][] = [
    [{ role: ['a'] }, /role is not known \(roles\?\)/],
    [{ scopes: ['a'] }, /scopes is not known \(scope\?\)/],
    [{ maxAge: 60 }, /maxAge is not known \(only roles, scope, anyOf, maxAuthAge\)/],
    [{ anyof: [{ roles: ['a'] }] }, /anyof is not known \(anyOf\?\)/],
    [{ anyOf: [{ role: ['a'] }] }, /anyOf: role is not known \(roles\?\)/],
    [{ anyOf: [{ anyOf: [{ roles: ['a'] }] }] }, /anyOf: anyOf is not known \(only roles, scope\)/],
    [{ anyOf: [{}] }, /anyOf: each must be/],
    [{ maxAuthage: 60 }, /maxAuthage is not known \(maxAuthAge\?\)/],
    [{ auth: 'public' }, /auth is not known/],
    ...[[], '', 'a', [''], [1], ['a b'], null, undefined, {}].flatMap((list): [unknown, RegExp][] => [
      [{ roles: list }, /roles must be a list of names/],
      [{ scope: list }, /scope must be a list of names/],
    ]),
    ...[Number.NaN, 0, -1, 0.5, Number.POSITIVE_INFINITY, '60', null, undefined].map(
      (maxAuthAge): [unknown, RegExp] => [{ maxAuthAge }, /maxAuthAge must be whole seconds/],
    ),
    [['a'], /0 is not known/],
    ['roles', /must be an object/],
    [null, /must be an object/],
  ]
  for (const [demands, message] of rows) {
    const refused = { name: 'TypeError', message }
    const shown = `${JSON.stringify(demands)} ${message.source}`
    await t.rejects(verifier.authenticate(request, demands as never), refused, shown)
    await t.rejects(verifier.authenticate({}, demands as never), refused, `${shown}, without a token`)
    t.throws(() => authorize(claims, demands as never), refused, shown)
    t.throws(() => assertDemands(demands as never), refused, shown)
  }
  t.equal(toResponse(await verifier.authenticate(request, { roles: [] }).catch((error) => error)).status, 500)
  authorize(claims, { roles: ['b', 'a'], scope: ['a'] }, () => mint.now)
  t.throws(
    () => authorize(claims, { maxAuthAge: 60 }, () => Number.NaN),
    { name: 'AppError' },
    'a clock that is broken',
  )
})
