import { CHANGES_TYPE, type ChangesClaims } from '../../revocations/changes-format.ts'
import { FEED_TYPE, type FeedClaims } from '../../revocations/feed-format.ts'
import { checkHeader } from '../../tokens/credential.ts'
import type { VerifySignature } from '../../tokens/verify.ts'
import { changesCheck, feedCheck } from './documents-checks.ts'
import { FeedRefused, type RefusedFor } from './feed-refused.ts'

/** No copy counts as fresh for longer, whatever it says. */
const MAX_FRESH_SECONDS = 3600

/** The keys by which documents are verified. */
export interface DocumentKeys {
  verificationPem(kid: string): string | undefined
  /** Looks for a key that is not known. */
  seek(kid: string, urgent: boolean): Promise<void>
}

interface Documents {
  readonly issuer: string
  /** Seconds that two clocks may differ. */
  readonly skew: number
  readonly now: () => number
  readonly keys: DocumentKeys
  readonly verifySignature: VerifySignature
  /** Longest text of a whole feed. */
  readonly maxFeedLength: number
  /** Longest line of the change stream. */
  readonly maxLineLength: number
}

/**
 * Verifies what the feed is made of, like a token: header, key, signature, claims, issuer and dates, in this order. The
 * functions throw FeedRefused, or what `keys.seek` throws.
 */
export function signedDocuments(options: Documents) {
  const { issuer, skew, now, keys, verifySignature, maxFeedLength, maxLineLength } = options

  const signedBy = async (text: string, pem: string): Promise<unknown> => {
    try {
      return await verifySignature(text, pem)
    } catch (error) {
      throw new FeedRefused('signature', (error as Error).message)
    }
  }
  const verified = async (text: string, typ: string, maxLength: number): Promise<unknown> => {
    const kid = refusedFor('header', () => checkHeader(text, typ, maxLength))
    if (keys.verificationPem(kid) === undefined) await keys.seek(kid, true)
    const pem = keys.verificationPem(kid)
    if (pem === undefined) throw new FeedRefused('key', 'signed by a key that is not in the JWKS')
    const payload = await signedBy(text, pem)
    // With Web Crypto others had their turn meanwhile: an answer that came first may have revoked this key.
    if (keys.verificationPem(kid) !== pem) throw new FeedRefused('key', 'signed by a key that is not good any more')
    return payload
  }
  const checked = <C extends { iss: string; iat: number; exp: number }>(
    claims: unknown,
    schema: { Check(value: unknown): boolean },
    what: string,
  ): C => {
    if (!schema.Check(claims)) throw new FeedRefused('claims', `not a ${what}`)
    const { iss, iat, exp } = claims as C
    if (iss !== issuer) throw new FeedRefused('issuer', 'of another issuer')
    if (iat > now() + skew) throw new FeedRefused('dates', 'dated in the future')
    if (exp - iat > MAX_FRESH_SECONDS) throw new FeedRefused('dates', 'not fresh')
    return claims as C
  }

  const keptFeed = async (text: string): Promise<FeedClaims> =>
    checked(await verified(text, FEED_TYPE, maxFeedLength), feedCheck, 'revocation feed')

  return {
    /** The whole feed as it was kept. It may be over: its entries are still good. */
    keptFeed,

    /** The whole feed. @throws FeedRefused also for one that is not fresh any more */
    async feed(text: string): Promise<FeedClaims> {
      const claims = await keptFeed(text)
      if (claims.exp <= now() - skew) throw new FeedRefused('stale', 'not fresh')
      return claims
    },

    /** A document of the change stream, which may be over: only the last one of an answer has to be fresh. */
    async changes(line: string): Promise<ChangesClaims> {
      return checked(await verified(line, CHANGES_TYPE, maxLineLength), changesCheck, 'document of changes')
    },
  }
}

function refusedFor<T>(why: RefusedFor, check: () => T): T {
  try {
    return check()
  } catch (error) {
    throw new FeedRefused(why, (error as Error).message)
  }
}
