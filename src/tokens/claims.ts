import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { AppError } from '../errors/app-error.ts'

/** `typ` of an access token, RFC 9068 section 2.1. */
export const ACCESS_TOKEN_TYPE = 'at+jwt'

/** The longest token that the guard accepts, in characters. Our own tokens are far shorter. */
export const MAX_TOKEN_LENGTH = 4096

const Identifier = Type.String({ minLength: 1, maxLength: 255 })
// The last second that RFC 3339 can write. A later one would pass here, and fail where it is formatted.
const NumericDate = Type.Integer({ minimum: 0, maximum: Date.UTC(9999, 11, 31, 23, 59, 59) / 1000 })

/** Claims that every access token carries (RFC 9068 section 2.2). */
export const REQUIRED_CLAIMS = ['iss', 'aud', 'sub', 'client_id', 'iat', 'exp', 'jti'] as const

/** The claims of an access token. Times are NumericDate seconds (RFC 7519 section 2). */
export const AccessTokenClaims = Type.Object({
  iss: Identifier,
  aud: Type.Union([Identifier, Type.Array(Identifier, { minItems: 1, maxItems: 32 })]),
  sub: Identifier,
  client_id: Identifier,
  iat: NumericDate,
  exp: NumericDate,
  jti: Identifier,
  nbf: Type.Optional(NumericDate),
  sid: Type.Optional(Identifier),
  auth_time: Type.Optional(NumericDate),
  scope: Type.Optional(Type.String({ maxLength: 2048 })),
  roles: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { maxItems: 32 })),
  token_version: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
})
export type AccessTokenClaims = Static<typeof AccessTokenClaims>

const compiled = TypeCompiler.Compile(AccessTokenClaims)
/** True when every claim is present and has the right type. It does not check their values. */
export const isAccessTokenClaims = (value: unknown): value is AccessTokenClaims => compiled.Check(value)

const CLAIM_NAMES = Object.keys(AccessTokenClaims.properties) as (keyof AccessTokenClaims)[]

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
}

/**
 * Checks the claims of a token whose signature is verified. fast-jwt checks a claim only when it is present, and
 * accepts any type of `sub` and `jti`, an `exp` however far away, and `exp == now`. So every check is done here.
 *
 * @param payload the parsed payload
 * @param now epoch seconds
 * @returns the named claims in a new frozen object; nothing else of the payload is passed on
 * @throws AppError `token_expired` when the age is the only fault, `invalid_token` otherwise
 */
export function acceptClaims(payload: unknown, policy: ClaimsPolicy, now: number): AccessTokenClaims {
  if (!compiled.Check(payload)) {
    const first = compiled.Errors(payload).First()
    throw refused(`claim ${first?.path ?? ''}: ${first?.message ?? 'not accepted'}`)
  }
  const { iss, aud, iat, exp, nbf } = payload
  if (iss !== policy.issuer) throw refused('iss is not the configured issuer')
  if (policy.audience !== null && !holdsOneOf(aud, policy.audience))
    throw refused('aud has none of the configured audiences')
  // RFC 7800: a token bound to a key is no bearer token, and proof of possession is not implemented.
  if (Object.hasOwn(payload, 'cnf')) throw refused('cnf asks for a proof of possession')
  if (iat > now + policy.skew) throw refused('iat is in the future')
  if (nbf !== undefined && nbf > now + policy.skew) throw refused('nbf is in the future')
  if (exp <= iat) throw refused('exp is not after iat')
  if (policy.maxLifetime !== null && exp - iat > policy.maxLifetime)
    throw refused('exp - iat is above the maximum lifetime')
  if (exp <= now - policy.skew) throw new AppError('token_expired', { reason: 'exp is in the past' })

  const claims: Partial<Record<keyof AccessTokenClaims, unknown>> = {}
  for (const name of CLAIM_NAMES) if (Object.hasOwn(payload, name)) claims[name] = frozen(payload[name])
  return Object.freeze(claims) as AccessTokenClaims
}

function holdsOneOf(aud: string | readonly string[], audience: readonly string[]): boolean {
  return typeof aud === 'string' ? audience.includes(aud) : aud.some((one) => audience.includes(one))
}

function frozen<T>(value: T): T {
  return Array.isArray(value) ? Object.freeze(value) : value
}

function refused(reason: string): AppError {
  return new AppError('invalid_token', { reason })
}
