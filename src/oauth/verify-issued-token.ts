import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { AccessTokenClaims, ClaimsPolicy } from '../tokens/claims.ts'
import { createNodeSignature } from '../tokens/node-signature.ts'
import { VerifiedTokens } from '../tokens/verified-tokens.ts'
import { createTokenVerifier, type RevocationCheck, type VerificationKeys } from '../tokens/verify.ts'

/** The claims of a token that this server signed and that is neither expired nor withdrawn; undefined for everything else. */
export type VerifyIssuedToken = (token: string) => AccessTokenClaims | undefined

/**
 * The walk of the guard, for a token of any audience: whom it concerns is for the caller to judge.
 *
 * @returns a function that throws AppError `revocations_stale`
 */
export function createVerifyIssuedToken(parts: {
  keys: VerificationKeys
  policy: ClaimsPolicy
  /** The revocation set, as complete as it is at the moment. */
  revocations: RevocationCheck
  now: Clock
}): VerifyIssuedToken {
  // A cache of its own, and as good as none: in the guard's, a token for somebody else would be good for us.
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
