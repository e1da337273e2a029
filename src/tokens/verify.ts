import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { type AccessTokenClaims, acceptClaims, type ClaimsPolicy } from './claims.ts'
import { checkHeader } from './credential.ts'
import type { VerifiedToken, VerifiedTokens } from './verified-tokens.ts'

/** Where public keys come from: the keyring of this server, or the JWKS of another one. */
export interface VerificationKeys {
  /** The SPKI PEM of a kid that verifies tokens now. */
  verificationPem(kid: string): string | undefined
}

/** What the revocations say of a token: `stale` where a refresh gets a good one. */
export type Verdict = 'good' | 'revoked' | 'stale'

/** What is withdrawn, from memory. */
export interface RevocationCheck {
  judge(claims: AccessTokenClaims): Verdict
  /** True when the set is older than the setting allows, and the policy is to refuse then. */
  isTooOld(): boolean
}

/** `invalid_token`, told apart for whoever can look for the key elsewhere. */
export class UnknownKid extends AppError {
  readonly kid: string
  constructor(kid: string) {
    super('invalid_token', { reason: 'unknown kid' })
    this.kid = kid
  }
}

/**
 * @param pem SPKI PEM of the key that its header names
 * @returns the payload once signature and pinned claims hold
 * @throws AppError `invalid_token`
 */
export type VerifySignature = (token: string, pem: string) => unknown

export interface TokenVerifier {
  /**
   * The claims of a good token, from the cache or after the whole walk: canonical parts, header, known kid, signature and pinned
   * claims, our own judgement of the claims, revocations. No await, no I/O.
   *
   * @throws AppError `invalid_token`, `token_expired`, `token_stale`, `revocations_stale`; UnknownKid
   */
  verify(token: string): AccessTokenClaims
  readonly cache: VerifiedTokens
}

/** The one implementation behind the guard of this server and the verifier package. */
export function createTokenVerifier(options: {
  readonly keys: VerificationKeys
  readonly policy: ClaimsPolicy
  readonly now: Clock
  readonly cache: VerifiedTokens
  readonly revocations: RevocationCheck
  readonly verifySignature: VerifySignature
}): TokenVerifier {
  const { keys, policy, now, cache, revocations, verifySignature } = options
  assertPolicy(policy)

  /** After the signature: what is withdrawn is told only to who holds a good token. */
  const notWithdrawn = (claims: AccessTokenClaims): AccessTokenClaims => {
    if (revocations.isTooOld()) throw new AppError('revocations_stale')
    const verdict = revocations.judge(claims)
    if (verdict === 'good') return claims
    throw new AppError(verdict === 'stale' ? 'token_stale' : 'invalid_token', { reason: `withdrawn: ${verdict}` })
  }

  /** What can change while a token lives is asked on every hit: its key and its age. */
  const stillGood = (token: string, { kid, claims }: VerifiedToken): AccessTokenClaims => {
    const known = keys.verificationPem(kid) !== undefined
    if (known && claims.exp > now() - policy.skew) return claims
    cache.drop(token)
    throw known ? new AppError('token_expired') : new UnknownKid(kid) // withdrawn, or not at hand any more
  }

  return {
    cache,
    verify(token) {
      const known = cache.get(token)
      if (known !== undefined) return notWithdrawn(stillGood(token, known))
      const kid = checkHeader(token, policy.typ)
      const pem = keys.verificationPem(kid)
      if (pem === undefined) throw new UnknownKid(kid)
      const claims = acceptClaims(verifySignature(token, pem), policy, now())
      cache.put(token, { kid, claims })
      return notWithdrawn(claims)
    },
  }
}

/** An empty value would silently switch a check off: in fast-jwt, and because nothing is above NaN. */
function assertPolicy({ issuer, audience, typ, skew, maxLifetime }: ClaimsPolicy): void {
  const isText = (value: unknown) => typeof value === 'string' && value !== ''
  const isSeconds = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0
  if (!isText(issuer)) throw new TypeError('a verifier needs an issuer')
  if (audience !== null && !(Array.isArray(audience) && audience.length > 0 && audience.every(isText)))
    throw new TypeError('a verifier needs an audience')
  if (typ !== null && !isText(typ)) throw new TypeError('a verifier needs the typ of the tokens it takes')
  if (!isSeconds(skew) || !(maxLifetime === null || (isSeconds(maxLifetime) && maxLifetime > 0)))
    throw new TypeError('a verifier needs a maximum lifetime and a skew, in seconds')
}
