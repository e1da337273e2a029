import { createHash } from 'node:crypto'
import { type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../clock.ts'
import { MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'
import { normalisedTyp } from '../tokens/credential.ts'
import type { Client } from './client.ts'
import type { ClientKeys } from './client-key-source.ts'
import { ASSERTION_ALGS } from './client-public-key.ts'

/** An assertion is made for a single request, so it need not live long. */
const MAX_LIFETIME_SECONDS = 300
const MAX_JTI_LENGTH = 255
/**
 * The `typ` of an assertion (RFC 7515 section 4.1.9, draft-ietf-oauth-rfc7523bis). A token of another kind is no
 * assertion, whoever signed it.
 */
const TYPES: readonly unknown[] = [undefined, 'jwt', 'client-authentication+jwt']

export interface AssertionPolicy {
  /** The accepted values of `aud`: the issuer, or the URL of the token endpoint. */
  readonly audience: readonly string[]
  /** Seconds by which two clocks may differ. */
  readonly skew: number
}

/** What the store keeps of an assertion, to refuse it the next time. */
export interface UsedAssertion {
  readonly jtiHash: string
  /** Epoch seconds from which no node would accept the assertion anyway. */
  readonly expiresAt: number
}

export type VerifyAssertion = (client: Client, assertion: string) => Promise<UsedAssertion>

/**
 * Verifies client assertions (private_key_jwt, RFC 7523 section 3).
 *
 * @returns a function that rejects with an error whose message is the reason, for the log; it never contains the
 *   assertion
 */
export function createVerifyAssertion({
  keys,
  policy,
  now,
}: {
  keys: ClientKeys
  policy: AssertionPolicy
  now: Clock
}): VerifyAssertion {
  const { audience, skew } = policy
  return async (client, assertion) => {
    const instant = now()
    const { payload, protectedHeader } = await jwtVerify(assertion, keys(client), {
      issuer: client.id,
      subject: client.id,
      audience: [...audience],
      algorithms: ASSERTION_ALGS,
      requiredClaims: ['iss', 'sub', 'aud', 'exp', 'jti'],
      clockTolerance: skew,
      currentDate: new Date(instant * 1000),
    })
    const { exp = 0, jti, aud, iat = instant } = payload
    const { typ } = protectedHeader
    if (!TYPES.includes(typ === undefined ? undefined : normalisedTyp(typ))) throw new Error('another typ')
    // With several audiences, another server that the assertion was sent to could use it here.
    if (typeof aud !== 'string') throw new Error('aud is a list')
    if (exp > instant + MAX_LIFETIME_SECONDS + skew) throw new Error(`exp is more than ${MAX_LIFETIME_SECONDS} s ahead`)
    if (typeof iat !== 'number' || iat > instant + skew) throw new Error('iat is in the future')
    if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH)
      throw new Error('jti is not text of a fair length')
    return {
      jtiHash: createHash('sha256').update(jti).digest('base64url'),
      // Computed with the ceiling of CLOCK_SKEW: until then some node may still accept the assertion.
      expiresAt: Math.ceil(exp) + 2 * MAX_CLOCK_SKEW_SECONDS,
    }
  }
}

/** The `sub` that an assertion claims, unverified: it only selects the client whose keys verify the assertion. */
export function unverifiedSubject(assertion: string): string | undefined {
  try {
    const unverified: JWTPayload = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof unverified?.sub === 'string' ? unverified.sub : undefined
  } catch {
    return undefined
  }
}
