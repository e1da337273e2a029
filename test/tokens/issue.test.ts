import { generateKeyPairSync } from 'node:crypto'
import { Value } from '@sinclair/typebox/value'
import fc from 'fast-check'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import t from 'tap'
import { Roles } from '../../src/accounts/account.ts'
import { CLIENT_ID_PREFIX, Scope } from '../../src/clients/client.ts'
import { systemClock } from '../../src/clock.ts'
import { MAX_AUDIENCE_BYTES } from '../../src/config/ceilings.ts'
import { loadConfig } from '../../src/config/config.ts'
import { Settings } from '../../src/config/settings.ts'
import { randomId } from '../../src/ids.ts'
import { publicJwk } from '../../src/keys/jwk.ts'
import { MAX_KEY_BITS } from '../../src/keys/sound-key.ts'
import { acceptClaims, MAX_TOKEN_LENGTH, REQUIRED_CLAIMS } from '../../src/tokens/claims.ts'
import { createIssuer, type Grant, OPTIONAL_CLAIMS_BUDGET_BYTES } from '../../src/tokens/issue.ts'
import { bearer, newUser, startApp } from '../support/app.ts'

const NOW = 1_800_000_000
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const { kid } = publicJwk(privateKey)
const key = privateKey.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign'])

const settings = {
  issuer: 'https://signet.example',
  audience: ['api'],
  ttl: 600,
  keyring: { signingKey: () => ({ kid, key }) },
  now: () => NOW,
}
const issue = createIssuer(settings)
const grant: Grant = { sub: 'account', client_id: 'signet' }

// src/http/README.md, "Access tokens": what the header and the claims of an access token are.
const ALWAYS = ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti']
const WHEN_THEY_APPLY = ['sid', 'auth_time', 'scope', 'roles', 'token_version', 'email_verified']

t.test('a lifetime is spread by a few percent, and never longer than it was set', async (t) => {
  for (const [spread, random, ttl, seconds] of [
    [0, 0.999, 600, 600],
    [5, 0, 600, 600],
    [5, 0.5, 600, 585],
    [5, 0.999_999, 600, 571],
    [20, 0.999_999, 60, 49],
  ] as const) {
    const { token, expiresIn } = await createIssuer({ ...settings, spread, random: () => random })({ ...grant, ttl })
    t.equal(expiresIn, seconds, `${ttl} s, ${spread} %`)
    t.equal((decodeJwt(token).exp ?? 0) - NOW, seconds)
  }
})

t.test('a key signs nothing that is dated before it was chosen, also when a second ends meanwhile', async (t) => {
  let instant = NOW
  const now = () => instant++
  let chosenAt = 0
  const signingKey = () => {
    chosenAt = now()
    return { kid, key }
  }
  const { token } = await createIssuer({ ...settings, keyring: { signingKey }, now })(grant)
  t.ok(Number(decodeJwt(token).iat) >= chosenAt)
})

t.test('the header holds alg, typ and kid and nothing else', async (t) => {
  t.strictSame(decodeProtectedHeader((await issue(grant)).token), { alg: 'RS256', typ: 'at+jwt', kid })
})

t.test('a bare grant gives the claims that every token carries, and only those', async (t) => {
  const { token, expiresIn } = await issue(grant)
  const { jti, ...claims } = decodeJwt(token)
  t.strictSame(claims, {
    iss: settings.issuer,
    aud: 'api',
    sub: 'account',
    client_id: 'signet',
    iat: NOW,
    exp: NOW + 600,
  })
  t.type(jti, 'string')
  t.equal(expiresIn, 600)
  t.same([...REQUIRED_CLAIMS].sort(), [...ALWAYS].sort())
})

t.test('a full grant adds the claims that apply, as they are', async (t) => {
  const person = { sid: 's', auth_time: NOW - 5, email_verified: false }
  const optional = { ...person, scope: 'a b', roles: ['admin', 'ops'], token_version: 0 }
  const { jti: _, ...claims } = decodeJwt((await issue({ ...grant, ...optional })).token)
  t.match(claims, optional)
  t.same(Object.keys(claims).sort(), [...ALWAYS.filter((name) => name !== 'jti'), ...WHEN_THEY_APPLY].sort())
})

t.test('an empty scope and no roles cost nothing on the wire', async (t) => {
  const { token } = await issue({ ...grant, scope: '', roles: [], sid: undefined as never })
  t.same(Object.keys(decodeJwt(token)).sort(), [...ALWAYS].sort())
})

t.test('several audiences go out as a list, one as text, and none is refused at boot', async (t) => {
  const several = createIssuer({ ...settings, audience: ['api', 'web'] })
  t.same(decodeJwt((await several(grant)).token).aud, ['api', 'web'])
  t.throws(() => createIssuer({ ...settings, audience: [] }), TypeError)
})

t.test('no two tokens share a jti, and each has 128 bits or more', async (t) => {
  const ids = (await Promise.all(Array.from({ length: 200 }, () => issue(grant)))).map(
    ({ token }) => decodeJwt(token).jti ?? '',
  )
  t.equal(new Set(ids).size, 200)
  for (const id of ids) t.ok(/^[A-Za-z0-9_-]+$/.test(id) && Buffer.from(id, 'base64url').length >= 16, id)
})

t.test('optional claims up to their budget are issued, and one byte more is an error', async (t) => {
  const room = OPTIONAL_CLAIMS_BUDGET_BYTES - JSON.stringify({ scope: '' }).length
  const { token } = await issue({ ...grant, scope: 'x'.repeat(room) })
  t.equal(acceptClaims(decodeJwt(token), policy, NOW).scope?.length, room)
  await t.rejects(issue({ ...grant, scope: 'x'.repeat(room + 1) }), RangeError)
  await t.rejects(issue({ ...grant, roles: Array(300).fill('role') }), RangeError)
  await t.rejects(issue({ ...grant, scope: '€'.repeat(room / 2) }), RangeError, 'bytes, not characters')
})

t.test('the most that settings, roles and scopes may be fits into a token of the largest key', async (t) => {
  const largest = generateKeyPairSync('rsa', { modulusLength: MAX_KEY_BITS }).privateKey
  const signingKey = {
    kid: publicJwk(largest).kid,
    key: largest.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, false, ['sign']),
  }
  const audience =
    ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(MAX_AUDIENCE_BYTES / 4 - 4)).join() + 'd'.repeat(3)
  const config = loadConfig({
    env: { ISSUER: `https://${'i'.repeat(60)}.example/${'p'.repeat(178)}`, AUDIENCE: audience },
  })
  t.equal(config.ISSUER.length, Settings.properties.ISSUER.maxLength)
  t.equal(JSON.stringify(config.AUDIENCE).length, MAX_AUDIENCE_BYTES)
  const issue = createIssuer({
    ...settings,
    issuer: config.ISSUER,
    audience: config.AUDIENCE,
    keyring: { signingKey: () => signingKey },
  })

  const role = (index: number) => `r${index.toString(36)}`.padEnd(32, 'x')
  const roles = Array.from({ length: Roles.maxItems ?? 0 }, (_, index) => role(index))
  t.ok(Value.Check(Roles, roles))
  t.notOk(Value.Check(Roles, [...roles, 'one-more']) || Value.Check(Roles, [`${roles[0]}x`]))
  const scope = 's'.repeat(Scope.maxLength ?? 0)
  t.notOk(Value.Check(Scope, `${scope}s`))
  const token_version = Number.MAX_SAFE_INTEGER
  const person = { sub: `acc_${randomId()}`, client_id: 'signet', sid: `ses_${randomId()}`, auth_time: NOW, roles }
  const client = { sub: `${CLIENT_ID_PREFIX}${randomId()}`, client_id: `${CLIENT_ID_PREFIX}${randomId()}`, scope }
  for (const grant of [person, client]) {
    const { token } = await issue({ ...grant, token_version })
    t.ok(token.length <= MAX_TOKEN_LENGTH, `${token.length} characters`)
  }
})

t.test('a token that no verifier would read is an error at issue time', async (t) => {
  await t.rejects(issue({ ...grant, sub: 'x'.repeat(4000) }))
})

t.test('no signing key is an error, not an unsigned token', async (t) => {
  const keyring = {
    signingKey(): never {
      throw new Error('no key')
    },
  }
  await t.rejects(createIssuer({ ...settings, keyring })(grant), { message: 'no key' })
})

const policy = { issuer: settings.issuer, audience: settings.audience, typ: 'at+jwt', skew: 0, maxLifetime: 900 }

t.test('whatever grant a token is issued for, its guard accepts it', async () => {
  const id = fc.string({ minLength: 1, maxLength: 300, size: 'max' })
  const optional = {
    sid: id,
    auth_time: fc.nat(NOW),
    scope: fc.string({ maxLength: 3000, size: 'max' }),
    roles: fc.array(fc.stringMatching(/^[a-z][a-z0-9_-]{0,31}$/), { maxLength: 64, size: 'max' }),
    token_version: fc.nat(),
    email_verified: fc.boolean(),
  }
  const grants = fc.record({ sub: id, client_id: id, ...optional }, { requiredKeys: ['sub', 'client_id'] })
  await fc.assert(
    fc.asyncProperty(grants, async (grant) => {
      const issued = await issue(grant as Grant).catch((error) => error)
      if (issued instanceof RangeError || issued instanceof TypeError) return true // refused at issue time
      return acceptClaims(decodeJwt(issued.token), policy, NOW).sub === grant.sub
    }),
    { endOnFailure: true }, // shrinking would sign for minutes
  )
})

t.test('a token from the front door has at most 800 characters and the claims of a session', async (t) => {
  const { app } = await startApp(t)
  const before = systemClock()
  const { id, email, token } = await newUser(app)
  t.ok(token.length <= 800, `${token.length} characters`)
  const claims = decodeJwt(token)
  t.equal(claims.sub, id)
  t.equal(Number(claims.exp) - Number(claims.iat), 600, 'the default lifetime')
  t.ok(Number(claims.iat) >= before && Number(claims.iat) <= systemClock())
  t.equal(claims.auth_time, claims.iat)
  t.match(claims.sid, /^[\w-]{22,}$/)
  t.equal(typeof claims.token_version, 'number')
  for (const name of ALWAYS) t.ok(Object.hasOwn(claims, name), name)
  for (const name of Object.keys(claims)) t.ok([...ALWAYS, ...WHEN_THEY_APPLY].includes(name), name)
  t.notOk(JSON.stringify(claims).includes(email.slice(0, 8)), 'no personal data (ASVS 14.1.1)')
})

t.test('the lifetime and the audience are those of the settings', async (t) => {
  const { app } = await startApp(t, {
    env: { ACCESS_TOKEN_TTL: '60', AUDIENCE: 'api,web', ISSUER: 'https://id.example' },
  })
  const { iss, aud, iat = 0, exp = 0 } = decodeJwt((await newUser(app)).token)
  t.same({ iss, aud, life: exp - iat }, { iss: 'https://id.example', aud: ['api', 'web'], life: 60 })
})

t.test('settings whose tokens the guard would refuse do not boot', async (t) => {
  const settings = [
    { ISSUER: `https://id.example/${'x'.repeat(300)}` },
    { AUDIENCE: Array.from({ length: 33 }, (_, i) => `api${i}`).join() },
  ]
  for (const env of settings) {
    const server = await startApp(t, { env }).catch(() => undefined)
    if (server === undefined) continue
    const { token } = await newUser(server.app)
    const answer = await server.app.inject({ url: '/v1/me', headers: bearer(token) })
    t.equal(answer.statusCode, 200, `${Object.keys(env)}: it booted, so its own tokens must pass`)
  }
})

t.test('plain jose verifies a token with nothing but the served JWKS', async (t) => {
  const { app, config } = await startApp(t)
  const { id, token } = await newUser(app)
  const keys = createLocalJWKSet((await app.inject('/.well-known/jwks.json')).json())
  const options = {
    issuer: config.ISSUER,
    audience: [...config.AUDIENCE],
    typ: 'at+jwt',
    algorithms: ['RS256'],
    requiredClaims: ALWAYS,
  }
  const { payload, protectedHeader } = await jwtVerify(token, keys, options)
  t.equal(payload.sub, id)
  t.equal(protectedHeader.typ, 'at+jwt')
  for (const change of [{ issuer: 'x' }, { audience: 'x' }, { typ: 'JWT' }, { algorithms: ['PS256'] }]) {
    await t.rejects(jwtVerify(token, keys, { ...options, ...change }), JSON.stringify(change))
  }
  const other = await startApp(t, { ownKey: true })
  const strangers = createLocalJWKSet((await other.app.inject('/.well-known/jwks.json')).json())
  await t.rejects(jwtVerify(token, strangers, options), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
})
