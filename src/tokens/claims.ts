import { AppError } from '../errors/app-error.ts'
import type { Refusal } from '../errors/refusals.ts'
import { claimChecks, claimsCheck, identifierCheck } from './claims-checks.ts'
import type { AccessTokenClaims } from './claims-schema.ts'

export type { AccessTokenClaims }

/** `typ` of an access token, RFC 9068 section 2.1. */
export const ACCESS_TOKEN_TYPE = 'at+jwt'

/** The longest token that the guard accepts, in characters. Our own tokens are far shorter. */
export const MAX_TOKEN_LENGTH = 4096

/** Claims that every access token carries (RFC 9068 section 2.2). */
export const REQUIRED_CLAIMS = ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti'] as const

/** True for what may stand in `iss`, `aud`, `sub`, `client_id`, `jti` and `sid`. */
export const isIdentifier = (value: unknown): value is string => identifierCheck.Check(value)
/** True when every claim is present and has the right type. It does not check their values. */
export const isAccessTokenClaims = (value: unknown): value is AccessTokenClaims => claimsCheck.Check(value)

/** Assigning to `__proto__` changes the prototype, and code that merges objects follows `constructor` to it. */
const INHERITED: ReadonlySet<string> = new Set(Object.getOwnPropertyNames(Object.prototype))
const CLAIM_NAMES = Object.keys(claimChecks) as (keyof typeof claimChecks)[]

export interface ClaimsPolicy {
  /** Exact `iss`. */
  readonly issuer: string
  /** `aud` must contain at least one of these; null for any. */
  readonly audience: readonly string[] | null
  /** `typ` of the header, lower case and without `application/`; null for any. */
  readonly typ: string | null
  /** Seconds by which two clocks may differ. */
  readonly skew: number
  /** Largest `exp - iat` in seconds; null for any. */
  readonly maxLifetime: number | null
  /** True: claims that are not named here are kept. Default: they are dropped, because our own tokens have none. */
  readonly keepOthers?: boolean
}

/**
 * Checks the claims of a token whose signature is verified. fast-jwt checks a claim only when it is present, and
 * accepts any type of `sub` and `jti`, an `exp` however far away, and `exp == now`. So every check is done here.
 *
 * @param payload the parsed payload
 * @param now epoch seconds
 * @returns a new object with the named claims, and with all others where the policy keeps them; frozen at every depth,
 *   because the cache gives the same object to every request. Members that would hide an inherited one (`__proto__`,
 *   `constructor`, `toString`) are left out, at every depth
 * @throws AppError `token_expired` when the age is the only fault, `invalid_token` otherwise
 */
export function acceptClaims(payload: unknown, policy: ClaimsPolicy, now: number): AccessTokenClaims {
  if (!claimsCheck.Check(payload)) {
    throw refused('claim', faultIn(payload))
  }
  const { iss, aud, iat, exp, nbf } = payload
  if (iss !== policy.issuer) throw refused('issuer', `iss is not the configured issuer ${policy.issuer}`)
  if (policy.audience !== null && !holdsOneOf(aud, policy.audience))
    throw refused('audience', 'aud has none of the configured audiences')
  // RFC 7800: a token bound to a key is no bearer token, and proof of possession is not implemented.
  if (Object.hasOwn(payload, 'cnf')) throw refused('proof_of_possession', 'cnf asks for a proof of possession')
  if (iat > now + policy.skew) throw refused('not_yet_valid', 'iat is in the future')
  if (nbf !== undefined && nbf > now + policy.skew) throw refused('not_yet_valid', 'nbf is in the future')
  if (exp <= iat) throw refused('lifetime', 'exp is not after iat')
  if (policy.maxLifetime !== null && exp - iat > policy.maxLifetime)
    throw refused('lifetime', 'exp - iat is above the maximum lifetime')
  if (exp <= now - policy.skew)
    throw new AppError('token_expired', { reason: 'exp is in the past', refusal: 'expired' })

  const claims: Record<string, unknown> = {}
  for (const name of policy.keepOthers === true ? Object.keys(payload) : CLAIM_NAMES)
    if (Object.hasOwn(payload, name) && !INHERITED.has(name))
      claims[name] = frozen(payload[name as keyof typeof payload])
  return Object.freeze(claims) as unknown as AccessTokenClaims
}

/** The first claim that is missing, or is not what it may be. */
function faultIn(payload: unknown): string {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return 'the payload is not an object'
  const values = payload as Readonly<Record<string, unknown>>
  const bad = CLAIM_NAMES.find((name) => values[name] !== undefined && !claimChecks[name].Check(values[name]))
  const missing = REQUIRED_CLAIMS.find((name) => values[name] === undefined)
  if (missing !== undefined) return `claim ${missing} is missing`
  return `claim ${bad ?? ''} has a type, a length or characters that it may not have`
}

function holdsOneOf(aud: string | readonly string[], audience: readonly string[]): boolean {
  return typeof aud === 'string' ? audience.includes(aud) : aud.some((one) => audience.includes(one))
}

/** A copy of a parsed JSON value. A payload of at most `MAX_TOKEN_LENGTH` can't be nested too deeply for recursion. */
function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return Object.freeze(value.map(frozen))
  const members = Object.entries(value).filter(([name]) => !INHERITED.has(name))
  return Object.freeze(Object.fromEntries(members.map(([name, member]) => [name, frozen(member)])))
}

function refused(refusal: Refusal, reason: string): AppError {
  return new AppError('invalid_token', { reason, refusal })
}
