// Bounds on which several rooms rely. Plans are made with the ceilings, not with the settings, so that no setting can cut a plan short.

/** No token lives longer, whatever a signer says: the ceiling of ACCESS_TOKEN_TTL, and what verifiers hold `exp - iat` against. */
export const MAX_ACCESS_TOKEN_TTL_SECONDS = 900

/** The most that two clocks may differ: the ceiling of CLOCK_SKEW. */
export const MAX_CLOCK_SKEW_SECONDS = 60
