import t from 'tap'
import { systemClock } from '../../src/clock.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import { endEverybody } from '../../src/revocations/everybody-store.ts'
import { createVerifier, toResponse, type VerifierEvent, type VerifierOptions } from '../../src/verifier/index.ts'
import { bearer, newUser, PASSWORD } from '../support/app.ts'
import { logIn } from '../support/front-door.ts'
import { register, tokenOf } from '../support/oauth.ts'
import { NOBODY } from '../support/people.ts'
import { code, verifying } from './verifying.ts'

t.test('issuer and audience are enough', async (t) => {
  const { server, verifier, issuer } = await verifying(t)
  const { id, token } = await newUser(server.app)
  t.match(await verifier.verify(token), { sub: id, iss: 'https://signet.example' })
  t.ok(Object.isFrozen(await verifier.verify(token)))
  t.match(verifier.stats(), { cacheHits: 1, cacheEntries: 1, revocations: 0 })
  t.same(issuer.asked, ['/.well-known/jwks.json'])
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

t.test('when everybody is out, the tokens of people are refused, and those of services go on', async (t) => {
  const { server, verifier, clock, seen } = await verifying(t, { revocations: true })
  await verifier.hydrate()
  const people = [await newUser(server.app), await newUser(server.app)]
  const service = await tokenOf(server.app, await register(server))
  const tokens = [...people.map(({ token }) => token), service]
  for (const token of tokens) t.equal(await code(verifier.verify(token)), 'good')
  await seen((event) => event.type === 'revocations_applied')
  await endEverybody(server.database, clock.seconds, { event: 'all_sessions_ended', source: NOBODY })
  await seen((event) => event.type === 'revocations_applied' && event.entries === 1)
  t.same(await Promise.all(tokens.map((token) => code(verifier.verify(token)))), [
    'invalid_token',
    'invalid_token',
    'good',
  ])
  const again = await logIn(server.app, people[0]?.email ?? '')
  t.equal(await code(verifier.verify(again.access_token)), 'good', 'in the same second')
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

t.test('what was refused is counted by its reason, once, and told to the listener alone', async (t) => {
  const events: VerifierEvent[] = []
  const { verifier, mint } = await verifying(t, { onEvent: (event) => void events.push(event) })
  const token = mint.token()
  const bearer = (text: string) => ({ headers: { authorization: `Bearer ${text}` } })
  t.equal(await code(verifier.authenticate({})), 'missing_token')
  t.equal(await code(verifier.authenticate(bearer(`${token.slice(0, -8)}AAAAAAAA`))), 'invalid_token')
  t.equal(await code(verifier.verify('a.b')), 'invalid_token')
  t.equal(await code(verifier.authenticate(bearer(token), { scope: ['a'] })), 'insufficient_scope')
  t.same(verifier.stats().refused, { token_missing: 1, signature: 1, malformed: 1, scope: 1 })
  const told = events.filter(({ type }) => type === 'refused').map((event) => 'refusal' in event && event.refusal)
  t.same(told, ['token_missing', 'signature', 'malformed', 'scope'])
})

t.test('a listener that throws ends nothing', async (t) => {
  const { server, issuer, verifier, mint } = await verifying(t, {
    revocations: true,
    onEvent() {
      throw new Error('a metrics client that is broken')
    },
  })
  await verifier.hydrate()
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
