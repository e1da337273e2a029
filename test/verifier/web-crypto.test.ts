import t, { type Test } from 'tap'
import { VerifiedTokens } from '../../src/tokens/verified-tokens.ts'
import { createTokenVerifier, type JudgedToken } from '../../src/tokens/verify.ts'
import { createVerifier as createWebVerifier } from '../../src/verifier/create-web-verifier.ts'
import { signedDocuments } from '../../src/verifier/feed/signed-documents.ts'
import type { VerifierOptions } from '../../src/verifier/options.ts'
import { createWebSignature } from '../../src/verifier/platform/web-signature.ts'
import { code, verifying } from './verifying.ts'

const FEED = { seq: 0, sessions: [], accounts: {}, clients: {}, tokens: [], keys: [] }

// What can go wrong only where signatures are verified in the background: with Web Crypto.

async function web(t: Test, options: Partial<VerifierOptions> = {}) {
  const parts = await verifying(t)
  const { issuer, clock, mint } = parts
  const common = { issuer: mint.issuer, audience: mint.audience, fetch: issuer.fetch, now: () => clock.seconds }
  const verifier = createWebVerifier({ ...common, ...options })
  t.teardown(() => verifier.close())
  return { ...parts, verifier }
}

/** Does something with each call of a function of Web Crypto, in place of it. */
function replaced<Name extends 'importKey' | 'verify'>(
  t: Test,
  name: Name,
  replace: (original: (typeof crypto.subtle)[Name]) => unknown,
) {
  const original = crypto.subtle[name].bind(crypto.subtle) as (typeof crypto.subtle)[Name]
  const restore = () => void Reflect.deleteProperty(crypto.subtle, name)
  t.teardown(restore)
  Object.defineProperty(crypto.subtle, name, { configurable: true, value: replace(original) })
  return restore
}

t.test('a key that could not be imported once is imported again', async (t) => {
  const { mint, server } = await web(t)
  const token = mint.token()
  const pem = server.keyring.verificationPem(mint.kid) ?? ''
  const verify = createWebSignature()
  const restore = replaced(t, 'importKey', () => () => Promise.reject(new Error('out of memory')))
  await t.rejects(verify(token, pem) as Promise<unknown>, { message: 'out of memory' })
  restore()
  t.match(await verify(token, pem), { sub: 'minted-subject' })
})

t.test('an import whose request was cancelled, and which never ends, stops no other one', async (t) => {
  const { mint, server } = await web(t)
  const verify = createWebSignature()
  const pem = server.keyring.verificationPem(mint.kid) ?? ''
  const restore = replaced(t, 'importKey', () => () => new Promise(() => undefined))
  void verify(mint.token(), pem)
  restore()
  t.match(await verify(mint.token(), pem), { sub: 'minted-subject' })
})

t.test('a library that puts its own class in the place of Promise changes no verdict', async (t) => {
  const { verifier, mint } = await web(t)
  await verifier.hydrate()
  const native = globalThis.Promise
  const restore = () => void Object.assign(globalThis, { Promise: native })
  t.teardown(restore)
  // As zone.js does. What async functions return stays a native promise.
  globalThis.Promise = class extends native<unknown> {} as PromiseConstructor
  const forged = mint.token({}, () => Buffer.alloc(256, 1))
  const verdicts = await native.all([mint.token(), forged].map((token) => code(verifier.verify(token))))
  restore()
  t.same(verdicts, ['good', 'invalid_token'])
  t.same(verifier.stats().refused, { signature: 1 })
})

t.test('what changes while the signature of a token is verified counts for that token', async (t) => {
  const { verifier, mint, clock } = await web(t, { revocations: true })
  await verifier.hydrate()
  const rows: [what: string, claims: object, change: () => unknown, verdict: string][] = [
    ['nothing', {}, () => undefined, 'good'],
    [
      'the clock',
      { exp: clock.seconds + 10 },
      () => Object.assign(clock, { seconds: clock.seconds + 16 }),
      'token_expired',
    ],
  ]
  for (const [what, claims, change, verdict] of rows) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const restore = replaced(t, 'verify', (verify) => async (...args: Parameters<typeof verify>) => {
      begun.resolve()
      await promise
      return verify(...args)
    })
    const judged = code(verifier.verify(mint.token({ claims })))
    await begun.promise
    restore()
    change()
    resolve()
    t.equal(await judged, verdict, what)
  }
})

t.test('a token whose key is revoked while its signature is verified is refused', async (t) => {
  const { mint, clock } = await web(t)
  let isKnown = true
  const { issuer, audience } = mint
  const { verify, cache } = createTokenVerifier<JudgedToken>({
    keys: { verificationPem: () => (isKnown ? 'pem' : undefined), isRevoked: () => true },
    policy: { issuer, audience: [audience], typ: 'at+jwt', skew: 5, maxLifetime: 900 },
    now: () => clock.seconds,
    cache: new VerifiedTokens({ entries: 9, characters: 9999 }),
    revocations: { judge: () => 'good', refusalOf: () => 'revoked_token', isTooOld: () => false },
    verifySignature: async () => {
      isKnown = false
      return mint.claims
    },
  })
  const refusal = await Promise.resolve(verify(mint.token())).catch((error) => error.refusal)
  t.equal(refusal, 'revoked_key')
  t.equal(cache.size, 0)
})

t.test('a document whose key is revoked while its signature is verified is refused', async (t) => {
  const { mint, clock } = await web(t)
  let isKnown = true
  const documents = signedDocuments({
    issuer: mint.issuer,
    skew: 5,
    now: () => clock.seconds,
    keys: { verificationPem: () => (isKnown ? 'pem' : undefined), seek: async () => undefined },
    verifySignature: async () => {
      isKnown = false
      return { ...FEED, iss: mint.issuer, iat: clock.seconds, exp: clock.seconds + 60 }
    },
    maxFeedLength: 10_000,
    maxLineLength: 10_000,
  })
  const text = mint.token({ header: { alg: 'RS256', typ: 'revocations+jwt', kid: mint.kid } })
  const why = await documents.feed(text).then(
    () => 'taken',
    (error) => error.why,
  )
  t.equal(why, 'key')
})
