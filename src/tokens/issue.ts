import { SignJWT } from 'jose'
import type { Clock } from '../clock.ts'
import { MAX_ACCESS_TOKEN_TTL_SECONDS } from '../config/ceilings.ts'
import { randomId } from '../ids.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import { ACCESS_TOKEN_TYPE, type AccessTokenClaims, isAccessTokenClaims, MAX_TOKEN_LENGTH } from './claims.ts'

/** The `client_id` of tokens that a person got by logging in here, with no OAuth client in between (RFC 9068 asks for one). */
export const FIRST_PARTY_CLIENT = 'signet'

/** Most bytes of JSON that the optional claims of one token may take: a header of many KB is refused by proxies, far from its cause. */
export const OPTIONAL_CLAIMS_BUDGET_BYTES = 1024

/** Who a token is for: all that differs between two tokens of this server. */
export type Grant = Pick<
  AccessTokenClaims,
  'sub' | 'client_id' | 'sid' | 'auth_time' | 'scope' | 'roles' | 'token_version'
> & {
  /** Who the token is for; the audience of the server when absent. */
  readonly audience?: readonly string[]
  /** Lifetime in seconds; that of the server when absent. */
  readonly ttl?: number
}

export interface IssuedToken {
  readonly token: string
  /** Seconds from now. */
  readonly expiresIn: number
}

export type IssueAccessToken = (grant: Grant) => Promise<IssuedToken>

/**
 * The one place where access tokens are built (RFC 9068, signed with RS256 on the thread pool through jose).
 *
 * @returns a function that issues a token for a grant and throws a RangeError when the optional claims go over their budget
 */
export function createIssuer(options: {
  issuer: string
  audience: readonly string[]
  /** Lifetime in seconds. */
  ttl: number
  keyring: Pick<LiveKeyring, 'signingKey'>
  now: Clock
}): IssueAccessToken {
  const { issuer, keyring, now } = options
  if (options.audience.length === 0) throw new TypeError('createIssuer needs an audience')

  return async ({ sub, client_id, audience = options.audience, ttl = options.ttl, ...optional }) => {
    const iat = now()
    const when = presentMembers(optional)
    const size = Buffer.byteLength(JSON.stringify(when))
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
      ...when,
    }
    if (!isAccessTokenClaims(claims) || ttl > MAX_ACCESS_TOKEN_TTL_SECONDS)
      throw new RangeError('a token with these claims would be refused by every verifier')
    const { kid, key } = keyring.signingKey()
    const token = await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', typ: ACCESS_TOKEN_TYPE, kid }).sign(key)
    if (token.length > MAX_TOKEN_LENGTH)
      throw new RangeError(`a token of ${token.length} characters would be refused by every verifier`)
    return { token, expiresIn: ttl }
  }
}

/** Absent, empty and none are the same to a verifier, and only one of them is free on the wire. */
function presentMembers(optional: Omit<Grant, 'sub' | 'client_id' | 'audience' | 'ttl'>): Partial<AccessTokenClaims> {
  return Object.fromEntries(
    Object.entries(optional).filter(
      ([, value]) => value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0),
    ),
  )
}
