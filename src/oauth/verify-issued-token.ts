import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { AccessTokenClaims, ClaimsPolicy } from '../tokens/claims.ts'
import { createNodeSignature } from '../tokens/node-signature.ts'
import { VerifiedTokens } from '../tokens/verified-tokens.ts'
import { createTokenVerifier, type RevocationCheck, type VerificationKeys } from '../tokens/verify.ts'

/**
 * The claims of a token that this server signed and that is neither expired nor revoked; undefined for everything else.
 */
export type VerifyIssuedToken = (
  token: string,
) => AccessTokenClaims | undefined | Promise<AccessTokenClaims | undefined>

/**
 * The checks of the guard, but for a token of any audience: whom the token concerns is for the caller to decide.
 *
 * @returns a function that throws AppError `revocations_stale`
 */
export function createVerifyIssuedToken(parts: {
  keys: VerificationKeys
  policy: ClaimsPolicy
  /** The revocation set as it is now; it is not read again here. */
  revocations: RevocationCheck
  now: Clock
}): (token: string) => AccessTokenClaims | undefined {
  // A cache of its own, and practically without room. In the guard's cache, a token for another audience would be
  // accepted by the guard.
  const cache = new VerifiedTokens({ entries: 1, characters: 0 })
  const policy = { ...parts.policy, audience: null }
  const { verify } = createTokenVerifier({ ...parts, policy, cache, verifySignature: createNodeSignature() })
  return (token) => {
    try {
      return verify(token)
    } catch (error) {
      if (error instanceof AppError && error.code !== 'revocations_stale') return undefined
      throw error
    }
  }
}

/**
 * The same for tokens that are to be revoked: also those from before a step back of the clock. They are dated in the
 * future, and good again when the clock gets there.
 *
 * @returns a function that throws AppError `revocations_stale`
 */
export function createVerifyTokenToRevoke(
  parts: Parameters<typeof createVerifyIssuedToken>[0],
): (token: string) => AccessTokenClaims | undefined {
  let issuedAt = 0
  const verify = createVerifyIssuedToken(parts)
  const verifyAtItsTime = createVerifyIssuedToken({ ...parts, now: () => issuedAt })
  return (token) => {
    const claims = verify(token)
    if (claims !== undefined) return claims
    issuedAt = unverifiedIat(token)
    return issuedAt > parts.now() ? verifyAtItsTime(token) : undefined
  }
}

/** @returns `iat` as the token says it, whoever made it; -1 when it says none */
function unverifiedIat(token: string): number {
  try {
    const { iat } = JSON.parse(Buffer.from(token.split('.', 2)[1] ?? '', 'base64url').toString())
    return typeof iat === 'number' ? iat : -1
  } catch {
    return -1
  }
}
