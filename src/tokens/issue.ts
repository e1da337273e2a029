import { SignJWT } from 'jose'
import type { Clock } from '../clock.ts'
import { MAX_ACCESS_TOKEN_TTL_SECONDS } from '../config/ceilings.ts'
import { randomId } from '../ids.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import { ACCESS_TOKEN_TYPE, type AccessTokenClaims, isAccessTokenClaims, MAX_TOKEN_LENGTH } from './claims.ts'

/** The `client_id` of tokens of a direct login here, without an OAuth client (RFC 9068 requires the claim). */
export const FIRST_PARTY_CLIENT = 'signet'

/**
 * Most bytes of JSON that the optional claims of one token may take. Proxies refuse headers of many KB, and the error
 * would appear far from its cause.
 */
export const OPTIONAL_CLAIMS_BUDGET_BYTES = 1024

/** The subject of a token: everything that differs between two tokens of this server. */
export type Grant = Pick<
  AccessTokenClaims,
  'sub' | 'client_id' | 'sid' | 'auth_time' | 'scope' | 'roles' | 'token_version' | 'email_verified'
> & {
  /** The audience of the token. Default: the audience of the server. */
  readonly audience?: readonly string[]
  /** Lifetime in seconds. Default: that of the server. */
  readonly ttl?: number
}

export interface IssuedToken {
  readonly token: string
  /** Seconds until it expires. */
  readonly expiresIn: number
}

export type IssueAccessToken = (grant: Grant) => Promise<IssuedToken>

/**
 * The only place where access tokens are built (RFC 9068, signed with RS256 on the thread pool through jose).
 *
 * @returns a function that issues a token for a grant; it throws a RangeError when the token would be refused by every
 *   verifier or its optional claims exceed their budget, and AppError `signing_unavailable` when no key may sign
 */
export function createIssuer(options: {
  issuer: string
  audience: readonly string[]
  /** Lifetime in seconds. */
  ttl: number
  /** Every lifetime is shorter by up to so many percent. Default: 0. */
  spread?: number
  /** 0 (inclusive) to 1 (exclusive). Default: Math.random; it only spreads load. */
  random?: () => number
  keyring: Pick<LiveKeyring, 'signingKey'>
  now: Clock
}): IssueAccessToken {
  const { issuer, keyring, now, spread = 0, random = Math.random } = options
  if (options.audience.length === 0) throw new TypeError('createIssuer needs an audience')

  return async ({ sub, client_id, audience = options.audience, ttl: longest = options.ttl, ...optional }) => {
    const { kid, key } = keyring.signingKey() // before the time is read: no key signs what is older than its start
    const iat = now()
    const ttl = longest - Math.floor(((longest * spread) / 100) * random())
    const optionalClaims = presentMembers(optional)
    const size = Buffer.byteLength(JSON.stringify(optionalClaims))
    if (size > OPTIONAL_CLAIMS_BUDGET_BYTES) {
      throw new RangeError(
        `the optional claims of a token take ${size} bytes, and ${OPTIONAL_CLAIMS_BUDGET_BYTES} are allowed`,
      )
    }
    const claims: AccessTokenClaims = {
      iss: issuer,
      aud: audience.length === 1 ? (audience[0] as string) : [...audience],
      sub,
      client_id,
      iat,
      exp: iat + ttl,
      jti: randomId(),
      ...optionalClaims,
    }
    if (!isAccessTokenClaims(claims) || ttl > MAX_ACCESS_TOKEN_TTL_SECONDS)
      throw new RangeError('a token with these claims would be refused by every verifier')
    const token = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'RS256', typ: ACCESS_TOKEN_TYPE, kid })
      .sign(key)
    if (token.length > MAX_TOKEN_LENGTH)
      throw new RangeError(`a token of ${token.length} characters would be refused by every verifier`)
    return { token, expiresIn: ttl }
  }
}

/**
 * Drops members that are undefined, empty text or an empty list: verifiers treat them like absent ones, and absent ones
 * take no bytes.
 */
function presentMembers(optional: Omit<Grant, 'sub' | 'client_id' | 'audience' | 'ttl'>): Partial<AccessTokenClaims> {
  return Object.fromEntries(
    Object.entries(optional).filter(
      ([, value]) => value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0),
    ),
  )
}
