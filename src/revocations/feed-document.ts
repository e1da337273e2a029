import { setTimeout as delay } from 'node:timers/promises'
import { CompactSign } from 'jose'
import { strongEtag } from '../http/etag.ts'
import type { SigningKey } from '../keys/live-keyring.ts'
import type { FeedOptions } from './feed.ts'
import { FEED_TYPE, type FeedClaims } from './feed-format.ts'
import { signLongFeed } from './sign-long-feed.ts'

/** The largest share of the time that may go into making the feed: a long feed is signed less often. */
const MAX_SIGNING_SHARE = 0.1

/** Above it the feed is made in slices, which cost a little more. */
const MAX_ENTRIES_AT_ONCE = 5000

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
    const head = { iss: issuer, seq: revocations.seq, iat, exp: iat + ttl }
    const keys = [...keyring.revokedKids()]
    if (revocations.size > MAX_ENTRIES_AT_ONCE) {
      const { body, digest } = await signLongFeed(head, revocations.entries(iat), keys, keyring.signingKey())
      kept = { version: made, body, etag: `"${digest}"` }
    } else {
      const body = await signed({ ...head, ...revocations.snapshot(iat), keys }, keyring.signingKey())
      kept = { version: made, body, etag: strongEtag(body) }
    }
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

async function signed(claims: FeedClaims, { kid, key }: SigningKey): Promise<Buffer> {
  const jws = await new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ alg: 'RS256', typ: FEED_TYPE, kid })
    .sign(key)
  return Buffer.from(jws)
}
