import { type ClaimsPolicy, REQUIRED_CLAIMS } from './claims.ts'

/**
 * How fast-jwt, and @fastify/jwt above it, are told to check a token. An `algorithms` that is text, or an empty audience, would
 * silently switch the check off: the policy was asserted before.
 */
export function fastJwtOptions({ issuer, audience, typ }: ClaimsPolicy) {
  return {
    algorithms: ['RS256' as const],
    allowedIss: issuer,
    ...(audience !== null && { allowedAud: [...audience] }),
    ...(typ !== null && { checkTyp: typ }),
    requiredClaims: [...REQUIRED_CLAIMS],
    // Time is judged by acceptClaims alone, last of all and by one clock: only a token that is good otherwise is called expired.
    ignoreExpiration: true,
    ignoreNotBefore: true,
    cache: false, // it knows nothing of withdrawn keys
  }
}
