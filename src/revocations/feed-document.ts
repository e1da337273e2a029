import { setTimeout as delay } from 'node:timers/promises'
import { CompactSign } from 'jose'
import { strongEtag } from '../http/etag.ts'
import type { FeedOptions } from './feed.ts'
import { FEED_TYPE, type FeedClaims } from './feed-format.ts'

/** The largest share of the time that may go into making the feed: a long feed is signed less often. */
const MAX_SIGNING_SHARE = 0.1

export interface FeedDocument {
  /** A compact JWS. */
  readonly body: Buffer
  /** Strong entity tag. Nodes with the same revocations produce the same tag, so a client may switch between them. */
  readonly etag: string
}

interface Options extends Pick<FeedOptions, 'issuer' | 'ttl' | 'keyring' | 'revocations' | 'monotonic'> {
  /** When the set was last complete, rounded down: epoch seconds. */
  readonly issuedAt: () => number
  /** The shortest time between two signatures, in milliseconds. */
  readonly gatherTime: () => number
}

/**
 * The signed list of everything that is revoked. It is signed at most once per change and once per half of `ttl`, and
 * kept.
 */
export function createFeedDocument(options: Options) {
  const { issuer, ttl, keyring, revocations, issuedAt, gatherTime, monotonic } = options
  let kept: (FeedDocument & { readonly version: string }) | undefined
  let signing: Promise<void> | undefined
  let notBefore = 0
  const version = () => [keyring.signingKey().kid, issuedAt(), revocations.seq, ...keyring.revokedKids()].join(' ')

  const sign = async () => {
    await delay(Math.max(0, notBefore - monotonic()))
    const began = monotonic()
    const made = version()
    const iat = issuedAt()
    const claims: FeedClaims = {
      iss: issuer,
      seq: revocations.seq,
      iat,
      exp: iat + ttl,
      ...revocations.snapshot(iat),
      keys: [...keyring.revokedKids()],
    }
    const { kid, key } = keyring.signingKey()
    const jws = await new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: 'RS256', typ: FEED_TYPE, kid })
      .sign(key)
    const body = Buffer.from(jws)
    kept = { version: made, body, etag: strongEtag(body) }
    notBefore = monotonic() + Math.max(gatherTime(), (monotonic() - began) / MAX_SIGNING_SHARE)
  }
  const signOnce = () => {
    signing ??= sign().finally(() => {
      signing = undefined
    })
    return signing
  }
  return {
    /** @throws AppError `signing_unavailable` */
    async current(): Promise<FeedDocument> {
      // At most twice: the signature in progress may have begun before the last change.
      for (let i = 0; i < 2 && kept?.version !== version(); i += 1) await signOnce()
      return kept as FeedDocument
    },
    /** The one that was made last, whether or not it is out of date. */
    get kept(): FeedDocument | undefined {
      return kept
    },
  }
}
