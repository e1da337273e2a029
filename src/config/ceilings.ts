/**
 * Seconds. No token lives longer, whatever a signer says: the ceiling of ACCESS_TOKEN_TTL, and what verifiers hold `exp - iat`
 * against.
 */
export const MAX_ACCESS_TOKEN_TTL_SECONDS = 900
