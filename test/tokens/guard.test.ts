import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import { type App, ROUTE_CONFIG_NAMES } from '../../src/http/app-type.ts'
import { registerErrorHandler } from '../../src/http/error-handler.ts'
import { publicJwk, toPem } from '../../src/keys/jwk.ts'
import type { ClaimsPolicy } from '../../src/tokens/claims.ts'
import { createFastifyJwtSignature } from '../../src/tokens/fastify-jwt-signature.ts'
import { registerGuard } from '../../src/tokens/guard.ts'
import { VerifiedTokens } from '../../src/tokens/verified-tokens.ts'
import {
  createTokenVerifier,
  type RevocationCheck,
  type Verdict,
  type VerificationKeys,
} from '../../src/tokens/verify.ts'
import { bearer, bootsWith, startApp } from '../support/app.ts'
import { createMint, type Mint, serverMint } from '../support/mint.ts'

interface Guarded {
  readonly app: App
  readonly mint: Mint
  /** What the guard's keyring holds: kid and PEM. */
  readonly keys: Map<string, string>
  readonly clock: { seconds: number }
  /** What the revocation set says of every token. */
  readonly revocation: { verdict: Verdict; tooOld: boolean }
  status(token: string): Promise<[status: number, code: string | undefined]>
}

/** The guard as app.ts puts it together. */
function guard(
  app: App,
  parts: { keys: VerificationKeys; policy: ClaimsPolicy; now: Clock; revocations: RevocationCheck },
): void {
  const verifySignature = createFastifyJwtSignature(parts.policy)
  const cache = new VerifiedTokens({ entries: 100, characters: 1e6 })
  const { verify } = createTokenVerifier({ ...parts, cache, verifySignature })
  registerGuard(app, { verify, now: parts.now, live: () => Promise.resolve() })
}

/** The guard alone, on a keyring and a clock that the test can change while it runs. */
async function guarded(t: Test): Promise<Guarded> {
  const mint = await serverMint(await startApp(t), systemClock())
  const keys = new Map([[mint.kid, toPem(publicJwk(mint.publicKey))]])
  const clock = { seconds: mint.now }
  const app: App = Fastify()
  registerErrorHandler(app)
  const policy = { issuer: mint.issuer, audience: [mint.audience], typ: 'at+jwt', skew: 5, maxLifetime: 900 }
  const keyring = { verificationPem: (kid: string) => keys.get(kid) }
  const revocation: Guarded['revocation'] = { verdict: 'good', tooOld: false }
  const revocations = {
    judge: () => revocation.verdict,
    refusalOf: () => 'revoked_session' as const,
    isTooOld: () => revocation.tooOld,
  }
  const now = () => clock.seconds
  guard(app, { keys: keyring, policy, now, revocations })
  app.get('/', (request) => ({ sub: request.user.sub }))
  t.teardown(() => app.close())
  const status: Guarded['status'] = async (token) => {
    const answer = await app.inject({ url: '/', headers: bearer(token) })
    return [answer.statusCode, answer.json().code]
  }
  return { app, mint, keys, clock, revocation, status }
}

t.test('a token that is cached is refused from the moment its key is withdrawn', async (t) => {
  const { mint, keys, status } = await guarded(t)
  const token = mint.token()
  t.same(await status(token), [200, undefined])
  const pem = keys.get(mint.kid) ?? ''
  keys.delete(mint.kid)
  t.same(await status(token), [401, 'invalid_token'])
  t.same(await status(mint.token()), [401, 'invalid_token'])
  keys.set(mint.kid, pem)
  t.same(await status(token), [200, undefined], 'verified anew')
})

t.test('stacks of errors are as long as before, whatever became of the token', async (t) => {
  const { mint, status } = await guarded(t)
  const { stackTraceLimit } = Error
  t.ok(stackTraceLimit > 0)
  const forged = mint.token({}, () => Buffer.alloc(256, 1))
  for (const [token, expected] of [
    [mint.token(), 200],
    [forged, 401],
    [mint.token({ claims: { iss: 'https://other.example' } }), 401],
  ] as const) {
    const [answered] = await status(token)
    t.equal(answered, expected)
    t.equal(Error.stackTraceLimit, stackTraceLimit)
  }
})

t.test('a token that is cached expires to the second', async (t) => {
  const { mint, clock, status } = await guarded(t)
  const token = mint.token({ claims: { exp: mint.now + 60 } })
  for (const seconds of [0, 60, 64]) {
    clock.seconds = mint.now + seconds
    t.same(await status(token), [200, undefined], `${seconds} s`)
  }
  for (const seconds of [65, 66, 10_000]) {
    clock.seconds = mint.now + seconds
    t.same(await status(token), [401, 'token_expired'], `${seconds} s`)
  }
})

t.test('the clock of the guard is the one it was given, not the one of the process', async (t) => {
  const { mint, clock, status } = await guarded(t)
  for (const shift of [-100_000, 100_000]) {
    clock.seconds = mint.now + shift
    const { token } = createMint({ ...mint, now: clock.seconds })
    t.same(await status(token()), [200, undefined], `${shift} s`)
    t.same(await status(token({ claims: { iat: clock.seconds - 700, exp: clock.seconds - 100 } })), [
      401,
      'token_expired',
    ])
    t.same(await status(token({ claims: { nbf: clock.seconds + 100 } })), [401, 'invalid_token'])
  }
})

t.test('what is withdrawn is asked anew for a token that is cached', async (t) => {
  const { mint, revocation, status } = await guarded(t)
  const token = mint.token()
  t.same(await status(token), [200, undefined])
  revocation.verdict = 'stale'
  t.same(await status(token), [401, 'token_stale'])
  revocation.verdict = 'good'
  revocation.tooOld = true
  t.same(await status(token), [503, 'revocations_stale'])
  revocation.tooOld = false
  t.same(await status(token), [200, undefined])
})

t.test('a keyring that fails is our fault, not that of the token', async (t) => {
  const { mint, keys, status } = await guarded(t)
  keys.get = () => {
    throw new Error('disk')
  }
  t.same(await status(mint.token()), [500, 'internal'])
})

t.test('a policy that would switch a check off is refused at boot', async (t) => {
  const { mint } = await guarded(t)
  const good: ClaimsPolicy = {
    issuer: mint.issuer,
    audience: [mint.audience],
    typ: 'at+jwt',
    skew: 5,
    maxLifetime: 900,
  }
  const off = [
    ...['', undefined, null, [mint.issuer]].map((issuer) => ({ issuer })),
    ...[[], [''], [mint.audience, ''], [undefined], undefined, '', mint.audience].map((audience) => ({ audience })),
    ...[Number.NaN, Number.POSITIVE_INFINITY, undefined, -1].map((skew) => ({ skew })),
    ...[Number.NaN, Number.POSITIVE_INFINITY, undefined, 0, -1].map((maxLifetime) => ({ maxLifetime })),
    ...['', undefined].map((typ) => ({ typ })),
  ]
  for (const change of off) {
    const app: App = Fastify()
    const policy = { ...good, ...change } as ClaimsPolicy
    const keys = { verificationPem: () => undefined }
    const revocations = {
      judge: () => 'good' as const,
      refusalOf: () => 'revoked_session' as const,
      isTooOld: () => false,
    }
    const built = async () => guard(app, { keys, policy, now: systemClock, revocations })
    await t.rejects(built(), { name: 'TypeError' }, `${Object.keys(change)} ${Object.values(change)}`)
    await app.close()
  }
})

t.test('a demand with a typing slip does not boot', async (t) => {
  for (const name of ['rolls', 'role', 'Roles', 'scopes', 'sope', 'Auth', 'auht', 'maxAuthage', 'limits']) {
    await t.rejects(bootsWith(t, { [name]: ['admin'] }), { name: 'TypeError', message: /\/mine: config\./ }, name)
  }
  await bootsWith(t, { cache: 1 }) // in an app of somebody else, what is no slip of a demand is for another plugin
})

t.test('on the server no route boots with a name in its config that nobody reads', async (t) => {
  const faults = { name: 'TypeError', message: /\/mine: config\./ }
  for (const name of ['rools', 'rls', 'groups', 'requires', 'requireRole', 'cache'])
    await t.rejects(bootsWith(t, { [name]: ['admin'] }, {}, ROUTE_CONFIG_NAMES), faults, name)
  const routes = (app: App) => void app.get('/mine', { config: { groups: ['admin'] } as never }, () => ({}))
  await t.rejects(startApp(t, { routes }), faults)
})

t.test('a demand beside config, where it has no effect, does not boot', async (t) => {
  for (const demand of [{ roles: ['admin'] }, { scope: ['a'] }, { auth: 'live' }, { maxAuthAge: 60 }])
    await t.rejects(bootsWith(t, {}, demand), { name: 'TypeError', message: /\/mine: \w+ has no effect/ })
})

t.test('a route that asks for a protection nobody knows does not boot', async (t) => {
  for (const auth of ['tokens', 'lives', 'session', 'none', '', null, false, true, 'PUBLIC', ['public']]) {
    const faults = { name: 'TypeError', message: /\/mine: config\.auth/ }
    await t.rejects(bootsWith(t, { auth }), faults, JSON.stringify(auth))
  }
})

t.test('a route is protected unless it says public, also in a plugin of its own', async (t) => {
  const { app } = await startApp(t, {
    routes: (app) => {
      app.get('/silent', () => 'x')
      app.get('/token', { config: { auth: 'token' } }, () => 'x')
      app.get('/open', { config: { auth: 'public' } }, () => 'x')
      app.register(async (plugin) => void plugin.get('/deep', () => 'x'), { prefix: '/plugin' })
    },
  })
  const found = await Promise.all(['/silent', '/token', '/plugin/deep', '/open'].map((url) => app.inject(url)))
  t.same(
    found.map(({ statusCode }) => statusCode),
    [401, 401, 401, 200],
  )
})

t.test('where nobody is asked who they are, request.user is null', async (t) => {
  const app: App = Fastify()
  t.teardown(() => app.close())
  registerGuard(app, { verify: () => t.fail('asked') as never, now: systemClock })
  app.get('/open', { config: { auth: 'public' } }, ({ user }) => ({ user }))
  const answer = await app.inject({ url: '/open', headers: bearer('x') })
  t.same(answer.json(), { user: null })
})
