/**
 * Access tokens: building them (`issue.ts`), verifying them in one written order (`credential.ts`, the signature,
 * `claims.ts`, revocations), and the guard that every route stands behind. Which tokens are revoked is decided in
 * `revocations/`; refresh tokens belong to `sessions/`.
 */

import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { Refusal } from '../errors/refusals.ts'
import { type AccessTokenClaims, acceptClaims, type ClaimsPolicy, isIdentifier } from './claims.ts'
import { checkHeader } from './credential.ts'
import type { VerifiedToken, VerifiedTokens } from './verified-tokens.ts'

/** Where the public keys come from: the keyring of this server, or the JWKS of another one. */
export interface VerificationKeys {
  /** The SPKI PEM of the key with this kid, if it may verify tokens now. */
  verificationPem(kid: string): string | undefined
  /** Whether this key was revoked. Asked only for a kid that `verificationPem` does not know. */
  isRevoked?(kid: string): boolean
}

/** The state of a token in the revocation set. `stale`: refused, but a refresh gives a good one. */
export type Verdict = 'good' | 'revoked' | 'stale'

/** The revocation set, in memory. */
export interface RevocationCheck {
  judge(claims: AccessTokenClaims): Verdict
  /**
   * What refuses a token that `judge` does not call good. Asked only for such a token. @throws TypeError for another
   */
  refusalOf(claims: AccessTokenClaims): Refusal
  /** True when the set is older than the setting allows, and the policy is to refuse tokens then. */
  isTooOld(): boolean
}

/** `invalid_token` for an unknown kid: a verifier that can fetch the JWKS catches it, fetches, and tries again. */
export class UnknownKid extends AppError {
  readonly kid: string
  constructor(kid: string, isRevoked = false) {
    super('invalid_token', {
      reason: isRevoked ? 'revoked kid' : 'unknown kid',
      refusal: isRevoked ? 'revoked_key' : 'kid_unknown',
    })
    this.kid = kid
  }
}

/**
 * Verifies the signature of a compact JWS.
 *
 * @param pem SPKI PEM of the key that the header of the token names
 * @returns the payload, once the signature and the pinned claims are verified; a promise of it where a runtime verifies
 *   signatures only in the background
 * @throws AppError `invalid_token`
 */
export type VerifySignature = (token: string, pem: string) => unknown

/**
 * Whether it is a promise, of whatever class: a library such as zone.js puts its own class in the place of `Promise`,
 * and async functions go on returning native ones. No JSON value has a function in it.
 */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** The claims of a good token, now or later. */
export type JudgedToken = AccessTokenClaims | Promise<AccessTokenClaims>

export interface TokenVerifier<Result> {
  /**
   * The claims of a good token, from the cache or after every check in this order: canonical parts, header, known kid,
   * signature and pinned claims, our own check of the claims, revocations. No await, no I/O. It returns a promise only
   * for a token that is new, and only where `verifySignature` does.
   *
   * @throws AppError `invalid_token`, `token_expired`, `token_stale`, `revocations_stale`; UnknownKid
   */
  verify(token: string): Result
  /**
   * The first half of `verify`: the claims of a good token from the cache, at once; undefined for one that is new.
   *
   * @param seconds now, in epoch seconds, where it was read already
   */
  seen(token: string, seconds?: number): AccessTokenClaims | undefined
  /** The second half, for a token that `seen` did not know. */
  fresh(token: string): Result
  /**
   * What `verify` says now to a token that it verified before, by its claims: what can change while a token lives is
   * checked again, its key, its age, its revocation.
   *
   * @throws AppError as `verify`; UnknownKid
   */
  again(verified: VerifiedToken): AccessTokenClaims
  readonly cache: VerifiedTokens
}

/**
 * The one implementation for the guard of this server and for the verifier package.
 *
 * @typeParam Result what `verify` returns: with a `verifySignature` that returns promises, say so
 * @throws TypeError for a policy that would switch a check off
 */
export function createTokenVerifier<Result extends JudgedToken = AccessTokenClaims>(options: {
  readonly keys: VerificationKeys
  readonly policy: ClaimsPolicy
  readonly now: Clock
  readonly cache: VerifiedTokens
  readonly revocations: RevocationCheck
  readonly verifySignature: VerifySignature
  /** Is told which key signed the token of these claims. */
  readonly kids?: { set(claims: AccessTokenClaims, kid: string): void }
}): TokenVerifier<Result> {
  const { keys, policy, now, cache, revocations, verifySignature, kids } = options
  assertPolicy(policy)

  /** Checked after the signature: only the holder of a good token learns that it is revoked. */
  const notRevoked = (claims: AccessTokenClaims): AccessTokenClaims => {
    if (revocations.isTooOld()) throw new AppError('revocations_stale', { refusal: 'feed_stale' })
    const verdict = revocations.judge(claims)
    if (verdict === 'good') return claims
    const refusal = revocations.refusalOf(claims)
    throw new AppError(verdict === 'stale' ? 'token_stale' : 'invalid_token', {
      reason: `withdrawn: ${verdict}`,
      refusal,
    })
  }

  const unknownKid = (kid: string) => new UnknownKid(kid, keys.isRevoked?.(kid))

  /** Checked on every cache hit, because it can change while a token lives: its key and its age. */
  const overBy = ({ kid, claims }: VerifiedToken, seconds = now()): AppError | undefined => {
    const known = keys.verificationPem(kid) !== undefined
    if (known && claims.exp > seconds - policy.skew) return undefined
    // An unknown key was revoked, or is in the JWKS no more.
    return known ? new AppError('token_expired', { refusal: 'expired' }) : unknownKid(kid)
  }

  const again = (verified: VerifiedToken): AccessTokenClaims => {
    const over = overBy(verified)
    if (over !== undefined) throw over
    return notRevoked(verified.claims)
  }

  const pemOf = (kid: string): string => {
    const pem = keys.verificationPem(kid)
    if (pem === undefined) throw unknownKid(kid)
    return pem
  }

  const accept = (token: string, kid: string, payload: unknown): AccessTokenClaims => {
    const claims = acceptClaims(payload, policy, now())
    cache.put(token, { kid, claims })
    kids?.set(claims, kid)
    return notRevoked(claims)
  }

  const seen = (token: string, seconds?: number): AccessTokenClaims | undefined => {
    const known = cache.get(token)
    if (known === undefined) return undefined
    const over = overBy(known, seconds)
    if (over === undefined) return notRevoked(known.claims)
    cache.drop(token)
    throw over
  }

  const fresh = (token: string): JudgedToken => {
    const kid = checkHeader(token, policy.typ)
    const payload = verifySignature(token, pemOf(kid))
    if (!isPromise(payload)) return accept(token, kid, payload)
    return payload.then((verified) => {
      pemOf(kid) // it may have been revoked meanwhile
      return accept(token, kid, verified)
    })
  }
  const verify = (token: string): JudgedToken => seen(token) ?? fresh(token)
  return { cache, again, seen, fresh: fresh as (token: string) => Result, verify: verify as (token: string) => Result }
}

/**
 * The same verification, after a look at what was revoked when one is due.
 *
 * @param lookFirst the look to wait for; undefined when none is due, and then nothing is awaited
 */
export function verifyAfterLook<T>(
  verify: (token: string) => T,
  lookFirst: () => Promise<void> | undefined,
): (token: string) => T | Promise<T> {
  return (token) => {
    const look = lookFirst()
    return look === undefined ? verify(token) : look.then(() => verify(token))
  }
}

/**
 * An empty value would silently switch a check off: in fast-jwt an empty list, and NaN because no number is greater
 * than NaN.
 */
function assertPolicy({ issuer, audience, typ, skew, maxLifetime }: ClaimsPolicy): void {
  const isText = (value: unknown) => typeof value === 'string' && value !== ''
  const isSeconds = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0
  if (!isIdentifier(issuer)) throw new TypeError('a verifier needs an issuer')
  if (audience !== null && !(Array.isArray(audience) && audience.length > 0 && audience.every(isIdentifier)))
    throw new TypeError('a verifier needs an audience')
  if (typ !== null && !isText(typ)) throw new TypeError('a verifier needs the typ of the tokens it takes')
  if (!isSeconds(skew) || !(maxLifetime === null || (isSeconds(maxLifetime) && maxLifetime > 0)))
    throw new TypeError('a verifier needs a maximum lifetime and a skew, in seconds')
}
