import t from 'tap'
import type { AppError } from '../../src/errors/app-error.ts'
import { REFUSALS, type Refusal } from '../../src/errors/refusals.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import type { ClaimsPolicy } from '../../src/tokens/claims.ts'
import { createFastifyJwtSignature } from '../../src/tokens/fastify-jwt-signature.ts'
import { createNodeSignature } from '../../src/tokens/node-signature.ts'
import { VerifiedTokens } from '../../src/tokens/verified-tokens.ts'
import { createTokenVerifier, type VerifySignature } from '../../src/tokens/verify.ts'
import { createVerifier as createWebVerifier } from '../../src/verifier/create-web-verifier.ts'
import type { VerifierEvent } from '../../src/verifier/options.ts'
import { corpus } from '../support/attacks/corpus.ts'
import type { Mint } from '../support/mint.ts'
import { refusedTokens } from '../support/refused-tokens.ts'
import { tokensTakenBack } from '../support/taken-back.ts'
import { verifying } from './verifying.ts'

// Why the package refuses: for each word of the list an input that causes it.

const seen = new Set<Refusal>()
/** The word of a refusal; `good` for none. */
const word = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'good',
    (error) => {
      seen.add(error.refusal)
      return error.refusal
    },
  )

t.test('what stands in a token, in a request, and what the caller lacks', async (t) => {
  const told: string[] = []
  const onEvent = (event: VerifierEvent) => {
    if (event.type === 'refused') told.push(event.refusal)
  }
  const { verifier, mint, issuer, clock } = await verifying(t, { onEvent })
  const { issuer: iss, audience } = mint
  const web = createWebVerifier({ issuer: iss, audience, fetch: issuer.fetch, now: () => clock.seconds })
  t.teardown(() => web.close())
  const rows = refusedTokens(mint)
  for (const [refusal, what, token] of rows) {
    t.equal(await word(verifier.verify(token)), refusal, `${refusal}: ${what}`)
    t.equal(await word(web.verify(token)), refusal, `${refusal}: ${what}, without node:crypto`)
  }
  t.same(
    told,
    rows.map(([refusal]) => refusal),
    'each is told once',
  )
  t.equal(verifier.stats().refused.malformed, told.filter((one) => one === 'malformed').length)
  t.equal(await word(verifier.verify(undefined as never)), 'token_missing')
  const asked = (...args: Parameters<typeof verifier.authenticate>) => word(verifier.authenticate(...args))
  const authorization = `Bearer ${mint.token()}`
  t.equal(await asked({ headers: {} }), 'token_missing')
  t.equal(await asked({ headers: { authorization: 'Basic eDp5' } }), 'token_missing')
  t.equal(await asked({ headers: { authorization: 'Bearer ' } }), 'malformed')
  t.equal(await asked({ headers: { authorization: [authorization, authorization] } }), 'token_repeated')
  t.equal(await asked({ headers: { authorization } }), 'good')
  const demands = { role: { roles: ['admin'] }, scope: { scope: ['read'] }, auth_age: { maxAuthAge: 60 } }
  for (const [refusal, demanded] of Object.entries(demands))
    t.equal(await asked({ headers: { authorization } }, demanded), refusal)
})

t.test('what was taken back', async (t) => {
  const { server, mint, another, clock } = await verifying(t)
  const { folder, keyring } = server
  const rows: [Refusal | 'good', string][] = [['good', mint.token()], ...(await tokensTakenBack(server))]
  const verifier = another({ revocations: true }, async () => undefined)
  await verifier.hydrate()
  for (const time of ['first', 'from the cache'])
    for (const [refusal, token] of rows) t.equal(await word(verifier.verify(token)), refusal, `${refusal}, ${time}`)

  await revokeKey(folder, mint.kid, { now: () => clock.seconds, bits: 2048, successor: true, force: true })
  await keyring.reload()
  const later = another({ revocations: true }, async () => undefined)
  await later.hydrate()
  for (const time of ['first', 'again']) t.equal(await word(later.verify(mint.token())), 'revoked_key', time)
})

t.test('what can not be known, and what was good before', async (t) => {
  const { verifier, issuer, mint, clock, another } = await verifying(t, { revocations: true, onStale: 'reject' })
  await verifier.hydrate()
  const [token, expiring] = [mint.token(), mint.token({ claims: { exp: mint.now + 60 } })]
  for (const one of [token, expiring]) t.equal(await word(verifier.verify(one)), 'good')
  issuer.down = true
  clock.seconds += 66
  t.equal(await word(verifier.verify(token)), 'feed_stale')
  t.equal(await word(verifier.verify(expiring)), 'expired', 'from the cache')
  const cold = another({}, async () => undefined)
  for (const time of ['first', 'a moment later'])
    t.equal(await word(cold.verify(mint.token())), 'keys_unavailable', time)
})

t.test('every word of the list was seen', async (t) => {
  t.same(
    REFUSALS.filter((one) => !seen.has(one)),
    [],
  )
})

/** @returns the word of a token */
function judgeWith(mint: Mint, makeSignature: (policy: ClaimsPolicy) => VerifySignature): (token: string) => string {
  const policy = { issuer: mint.issuer, audience: [mint.audience], typ: 'at+jwt', skew: 5, maxLifetime: 900 }
  const pem = mint.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const { verify } = createTokenVerifier({
    keys: { verificationPem: (kid) => (kid === mint.kid ? pem : undefined) },
    revocations: { judge: () => 'good', refusalOf: () => 'revoked_session', isTooOld: () => false },
    cache: new VerifiedTokens({ entries: 1, characters: 0 }),
    now: () => mint.now,
    verifySignature: makeSignature(policy),
    policy,
  })
  return (token) => {
    try {
      verify(token)
    } catch (error) {
      return (error as AppError).refusal ?? `no word: ${error}`
    }
    return 'good'
  }
}

t.test('each hostile token has a word, and it is the same in the server and in the package', async (t) => {
  const { mint } = await verifying(t)
  const [server, verifier] = [judgeWith(mint, createFastifyJwtSignature), judgeWith(mint, createNodeSignature)]
  const counts = new Map<string, number>()
  for (const [group, attacks] of corpus({ mint, canary: 'http://127.0.0.1:9/jwks' }))
    for (const { name, token } of attacks) {
      const one = server(token)
      counts.set(one, (counts.get(one) ?? 0) + 1)
      t.equal(verifier(token), one, `${group}: ${name}`)
    }
  t.same(
    [...counts.keys()].filter((one) => !REFUSALS.includes(one as Refusal)),
    [],
  )
  t.ok(counts.size > 8, [...counts.keys()].join())
})
