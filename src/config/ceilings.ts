// Bounds on which several folders rely. Plans (of key rotation, for example) are made with the ceilings and not with
// the settings, so that changing a setting never makes a plan too short.

/**
 * No token lives longer, whatever its signer says: the ceiling of ACCESS_TOKEN_TTL, and the bound that verifiers put on
 * `exp - iat`.
 */
export const MAX_ACCESS_TOKEN_TTL_SECONDS = 900

/** The most that two clocks may differ: the ceiling of CLOCK_SKEW. */
export const MAX_CLOCK_SKEW_SECONDS = 60

/**
 * Most bytes that the audiences of a token may take as JSON: the list of AUDIENCE, and that of a client. With it, the
 * longest issuer, the most and longest roles or scopes, and the largest signing key, a token is still as long as
 * verifiers accept. So what would break tokens is refused where it is set, and not at a login.
 */
export const MAX_AUDIENCE_BYTES = 1024
