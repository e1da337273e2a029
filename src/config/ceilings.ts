// Bounds on which several folders rely. Plans (of key rotation, for example) are made with the ceilings and not with
// the settings, so that changing a setting never makes a plan too short.

/**
 * No token lives longer, whatever its signer says: the ceiling of ACCESS_TOKEN_TTL, and the bound that verifiers put on
 * `exp - iat`.
 */
export const MAX_ACCESS_TOKEN_TTL_SECONDS = 900

/** The most that two clocks may differ: the ceiling of CLOCK_SKEW. */
export const MAX_CLOCK_SKEW_SECONDS = 60
