/**
 * Every reason for which a token or its caller is refused, in the order in which the checks are made: a token with
 * several faults has the word of the first one. The words are for metrics, logs and the owner of a service. The caller
 * is told no more than the code of the error. A word is never renamed: dashboards rest on it.
 */
export const REFUSALS = [
  /** No Bearer token in the request. */
  'token_missing',
  /** Two Authorization headers. */
  'token_repeated',
  /** Not three parts of canonical base64url, too long, or not the header or payload of a token. */
  'malformed',
  /** The header names another algorithm than RS256. */
  'alg',
  /** The header names another type, for example that of an ID token. */
  'typ',
  /** The keys of the issuer can't be had. */
  'keys_unavailable',
  /** The issuer has no such key, or no more. */
  'kid_unknown',
  /** The key was revoked by its owner. */
  'revoked_key',
  /** The signature is not that of the key. */
  'signature',
  /** A claim is missing, or has another type or length than it may have. */
  'claim',
  'issuer',
  'audience',
  /** The token is bound to a key (RFC 7800), and nobody here can check that. */
  'proof_of_possession',
  /** `iat` or `nbf` is in the future. */
  'not_yet_valid',
  /** `exp` is not after `iat`, or too long after it. */
  'lifetime',
  'expired',
  /** What was revoked is not known well enough, and the policy is to refuse then. */
  'feed_stale',
  /** The account was deleted. */
  'revoked_account',
  /** The client was disabled or deleted, or everybody was logged out. */
  'revoked_client',
  /** The session has ended: a logout, a new password, a suspended account, a refresh token that was used twice. */
  'revoked_session',
  /** The token itself was revoked. */
  'revoked_token',
  /** The account changed after the token was issued: a refresh gives a good one. */
  'stale_version',
  /** The login was too long ago. */
  'auth_age',
  'role',
  'scope',
] as const

/** Why a token or its caller was refused, as a word for machines. Never told to the caller. */
export type Refusal = (typeof REFUSALS)[number]
