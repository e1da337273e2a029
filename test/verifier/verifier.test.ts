import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import {
  assertDemands,
  authorize,
  createVerifier,
  toResponse,
  type VerifierEvent,
  type VerifierOptions,
} from '../../src/verifier/index.ts'
import { bearer, newUser, PASSWORD, startApp } from '../support/app.ts'
import { issuerOf } from '../support/issuer.ts'
import { serverMint } from '../support/mint.ts'

/** A verifier in front of a real server; the clock stands still until the test moves it. */
async function verifying(t: Test, options: Partial<VerifierOptions> = {}) {
  const clock = { seconds: systemClock() }
  const now = () => clock.seconds
  const server = await startApp(t, { now, env: { ISSUER: 'https://signet.example', CLOCK_SKEW: '5' } })
  const issuer = issuerOf(() => server.app)
  const events: VerifierEvent[] = []
  let heard = () => {}
  const verifier = createVerifier({
    issuer: 'https://signet.example',
    audience: 'https://signet.example',
    fetch: issuer.fetch,
    now,
    onEvent(event) {
      events.push(event)
      heard()
    },
    ...options,
  })
  t.teardown(() => verifier.close())
  /** Resolves when an event was seen that fits. */
  const seen = async (fits: (event: VerifierEvent) => boolean) => {
    while (!events.some(fits)) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
    events.length = 0
  }
  return { server, issuer, verifier, clock, seen, mint: await serverMint(server, clock.seconds) }
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'good',
    (error) => error.code ?? error.name,
  )

t.test('issuer and audience are enough', async (t) => {
  const { server, verifier, issuer } = await verifying(t)
  const { id, token } = await newUser(server.app)
  t.match(await verifier.verify(token), { sub: id, iss: 'https://signet.example' })
  t.ok(Object.isFrozen(await verifier.verify(token)))
  t.match(verifier.stats(), { cacheHits: 1, cacheEntries: 1, revocations: 0 })
  t.same(issuer.asked, ['/.well-known/jwks.json'])
})

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
    const { server, mint, clock } = await verifying(t)
    const revoked = await newUser(server.app)
    await server.app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(revoked.token) })
    const issuer = issuerOf(() => server.app)
    const reachable = Promise.withResolvers<void>()
    const restarted = createVerifier({
      issuer: mint.issuer,
      audience: mint.audience,
      revocations: true,
      onStale,
      now: () => clock.seconds,
      fetch: async (input, init) => {
        if (String(input).includes('revocations')) await reachable.promise
        return issuer.fetch(input, init)
      },
    })
    t.teardown(() => restarted.close())
    const verdicts = [revoked.token, mint.token()].map((token) => code(restarted.verify(token)))
    const forged = mint.token({}, () => Buffer.alloc(256, 1))
    t.equal(await code(restarted.verify(forged)), 'invalid_token', 'a bad token does not wait')
    reachable.resolve()
    t.same(await Promise.all(verdicts), ['invalid_token', 'good'])
    t.match(restarted.verifyNow(mint.token()), { sub: 'minted-subject' }, 'and from then on nobody waits')
  })

  t.test(`${onStale}: without a feed the first token waits for one try, and onStale decides`, async (t) => {
    const { server, mint, clock } = await verifying(t)
    const issuer = issuerOf(() => server.app)
    const verifier = createVerifier({
      issuer: mint.issuer,
      audience: mint.audience,
      revocations: true,
      onStale,
      now: () => clock.seconds,
      fetch: async (input, init) => {
        if (String(input).includes('revocations')) throw new TypeError('fetch failed')
        return issuer.fetch(input, init)
      },
    })
    t.teardown(() => verifier.close())
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

t.test('what is withdrawn is refused as soon as the feed brought it', async (t) => {
  const { server, verifier, seen } = await verifying(t, { revocations: true })
  await verifier.hydrate()
  const [stays, goes, changes] = [await newUser(server.app), await newUser(server.app), await newUser(server.app)]
  for (const { token } of [stays, goes, changes]) t.equal(await code(verifier.verify(token)), 'good')
  await seen((event) => event.type === 'revocations_applied')

  await server.app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(goes.token) })
  await seen((event) => event.type === 'revocations_applied')
  t.equal(await code(verifier.verify(goes.token)), 'invalid_token', 'also out of the cache')

  await server.database.query(`UPDATE accounts SET roles = '["admin"]' WHERE id = $1`, [stays.id])
  const login = { email: stays.email, password: PASSWORD }
  const admin = (await server.app.inject({ method: 'POST', url: '/v1/login', payload: login })).json().access_token
  const url = `/v1/admin/accounts/${changes.id}`
  await server.app.inject({ method: 'PATCH', url, headers: bearer(admin), payload: { roles: ['support'] } })
  await seen((event) => event.type === 'revocations_applied')
  t.equal(await code(verifier.verify(changes.token)), 'token_stale')
  t.equal(await code(verifier.verify(stays.token)), 'good')
})

t.test('a key that is revoked is refused at once, and its successor is found', async (t) => {
  const { server, verifier, seen } = await verifying(t, { revocations: true })
  await verifier.hydrate()
  const before = await newUser(server.app)
  t.equal(await code(verifier.verify(before.token)), 'good')
  await seen((event) => event.type === 'revocations_applied')
  const { kid } = server.keyring.signingKey()
  await revokeKey(server.folder, kid, { now: systemClock, bits: 2048, successor: true, force: true })
  await server.keyring.reload()
  await seen((event) => event.type === 'revocations_applied')
  t.equal(await code(verifier.verify(before.token)), 'invalid_token')
  t.equal(await code(verifier.verify((await newUser(server.app)).token)), 'good')
})

t.test('the death of the issuer changes nothing for good tokens', async (t) => {
  const { server, verifier, issuer, seen } = await verifying(t, { revocations: true })
  await verifier.hydrate()
  const { token } = await newUser(server.app)
  issuer.down = true
  await server.app.close() // ends the long poll
  await seen((event) => event.type === 'revocations_failed')
  t.equal(await code(verifier.verify(token)), 'good')
})

t.test('a stale copy of the feed: accepted unless asked otherwise', async (t) => {
  for (const [onStale, expected] of [
    ['accept', 'good'],
    ['reject', 'revocations_stale'],
  ] as const) {
    const { verifier, issuer, clock, mint } = await verifying(t, { revocations: true, onStale })
    await verifier.hydrate()
    const token = mint.token()
    t.equal(await code(verifier.verify(token)), 'good')
    issuer.down = true
    clock.seconds += 66
    t.equal(await code(verifier.verify(token)), expected, onStale)
  }
})

t.test('a listener that throws ends nothing', async (t) => {
  const { server, issuer, verifier, mint } = await verifying(t, {
    revocations: true,
    onEvent() {
      throw new Error('a metrics client that is broken')
    },
  })
  issuer.down = true
  await server.app.close()
  issuer.down = false
  await verifier.hydrate()
  t.equal(await code(verifier.verify(mint.token())), 'good')
})

t.test('without keys a token is not called bad', async (t) => {
  const { issuer, mint } = await verifying(t)
  issuer.down = true
  const { fetch } = issuer
  const verifier = createVerifier({ issuer: mint.issuer, audience: mint.audience, fetch, revocations: true })
  t.teardown(() => verifier.close())
  t.equal(await code(verifier.verify(mint.token())), 'keys_unavailable')
  await t.rejects(verifier.hydrate(), { code: 'keys_unavailable' })
})

t.test('a check is switched off by null, and by nothing else', async (t) => {
  const { mint, issuer } = await verifying(t)
  const tokens = {
    audience: mint.token({ claims: { aud: 'somebody else' } }),
    typ: mint.token({ header: { typ: 'JWT' } }),
    maxLifetime: mint.token({ claims: { exp: mint.now + 3600 } }),
  }
  const base = { issuer: mint.issuer, audience: mint.audience, fetch: issuer.fetch, now: () => mint.now }
  for (const [name, token] of Object.entries(tokens)) {
    const strict = createVerifier(base)
    const lax = createVerifier({ ...base, [name]: null })
    t.teardown(() => [strict, lax].map((verifier) => verifier.close()))
    t.equal(await code(strict.verify(token)), 'invalid_token', name)
    t.equal(await code(lax.verify(token)), 'good', `${name}: null`)
    t.equal(await code(lax.verify(mint.token({ claims: { iss: 'https://other.example' } }))), 'invalid_token')
  }
  const off = [
    { audience: undefined },
    { audience: '' },
    { audience: [] },
    { audience: [''] },
    { issuer: '' },
    { issuer: null },
    { typ: '' },
  ]
  const more = [
    { maxLifetime: 0 },
    { maxLifetime: Number.NaN },
    { clockSkew: -1 },
    { clockSkew: Number.NaN },
    { revocations: { onStale: 'reject' } },
    { onStale: 'x' },
    { clockSkew: 61 },
    { cache: {} },
    { cache: { entries: Number.NaN, characters: 1 } },
    { revocation: true },
    { timeout: Number.NaN },
  ]
  for (const change of [...off, ...more])
    t.throws(
      () => createVerifier({ ...base, ...change } as VerifierOptions),
      { name: 'TypeError' },
      JSON.stringify(change),
    )
})

t.test('a request of any framework: one Bearer token, and the demands of a route', async (t) => {
  const { verifier, mint } = await verifying(t)
  const token = mint.token({ claims: { roles: ['support'], scope: 'a b', auth_time: mint.now - 10 } })
  const asked = (lines: string[], demands = {}) => code(verifier.authenticate({ rawHeaders: lines }, demands))
  const line = ['Host', 'x', 'Authorization', `Bearer ${token}`]
  t.equal(await asked(line), 'good')
  t.equal(await asked(['Host', 'x']), 'missing_token')
  t.equal(await asked([...line, 'authorization', 'Bearer x']), 'invalid_request')
  t.equal(await asked(['Authorization', 'Basic eDp5']), 'missing_token')
  t.equal(await asked(line, { roles: ['support', 'admin'], scope: ['b'], maxAuthAge: 10 }), 'good')
  t.equal(await asked(line, { roles: ['admin'] }), 'insufficient_scope')
  t.equal(await asked(line, { scope: ['a', 'c'] }), 'insufficient_scope')
  t.equal(await asked(line, { maxAuthAge: 9 }), 'insufficient_user_authentication')
  for (const token of [undefined, null, 7, {}, Buffer.from('x')])
    t.equal(await code(verifier.verify(token as never)), 'missing_token')
})

t.test('the token is found wherever an adapter or a mock has put the headers', async (t) => {
  const { verifier, mint } = await verifying(t)
  const value = `Bearer ${mint.token()}`
  const rows: [what: string, request: object, verdict: string][] = [
    ['headers alone', { headers: { authorization: value } }, 'good'],
    ['no raw headers', { rawHeaders: [], headers: { authorization: value } }, 'good'],
    ['raw headers undefined', { rawHeaders: undefined, headers: { host: 'x', Authorization: value } }, 'good'],
    ['raw headers null', { rawHeaders: null, headers: { AUTHORIZATION: [value] } }, 'good'],
    ['Headers of a Fetch request', { headers: new Headers({ authorization: value }) }, 'good'],
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
    [{ maxAge: 60 }, /maxAge is not known \(only roles, scope, maxAuthAge\)/],
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

t.test('a refusal as an answer', async (t) => {
  const { verifier } = await verifying(t)
  const refusal = await verifier.authenticate({ rawHeaders: [] }).catch(toResponse)
  t.match(refusal, {
    status: 401,
    headers: { 'www-authenticate': 'Bearer realm="signet"', 'cache-control': 'no-store' },
  })
  const other = toResponse(new Error('password=hunter2'))
  t.equal(other.status, 500)
  t.notMatch(JSON.stringify(other), /hunter2/)
})
