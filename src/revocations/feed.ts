import { setTimeout as delay } from 'node:timers/promises'
import { CompactSign } from 'jose'
import type { Clock } from '../clock.ts'
import { strongEtag } from '../http/etag.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import { createFairShare } from '../limits/fair-share.ts'
import { FEED_TYPE, type FeedClaims } from './feed-format.ts'
import type { Revocations } from './follow-revocations.ts'
import type { LookFirst } from './look-first.ts'

/** The shortest time between two signatures, however many revocations arrive: they are collected into the next one. */
const GATHER_MS = 100
/** The largest share of the time that may go into making the feed: a long feed is signed less often. */
const MAX_SIGNING_SHARE = 0.1

export interface FeedDocument {
  /** A compact JWS. */
  readonly body: Buffer
  /** Strong entity tag. Nodes with the same revocations produce the same tag, so a client may switch between them. */
  readonly etag: string
}

export interface Feed {
  /** @throws AppError `signing_unavailable` */
  current(): Promise<FeedDocument>
  /**
   * Resolves when there is something newer than `etag`, after `timeout` milliseconds, or at once when too many wait
   * already, in all or from this network.
   */
  newerThan(etag: string, timeout: number, signal: AbortSignal, network: string): Promise<void>
  /** Ends every wait. From then on `newerThan` returns at once. */
  close(): void
  readonly waiting: number
}

interface FeedOptions {
  readonly issuer: string
  /** Seconds for which a copy counts as fresh. */
  readonly ttl: number
  readonly maxWaiters: number
  readonly keyring: Pick<LiveKeyring, 'signingKey' | 'revokedKids'>
  readonly revocations: Pick<Revocations, 'seq' | 'age' | 'snapshot' | 'onLook'>
  /** The look to wait for when this process stood still: it may have missed what the feed must say. Default: none. */
  readonly lookFirst?: LookFirst
  readonly now: Clock
  /** Milliseconds on a clock that can't be set. */
  readonly monotonic: () => number
}

/**
 * The signed list of everything that is revoked, for verifiers in other services. It is signed at most once per change
 * and once per half of `ttl`, and kept. RS256 is deterministic and `iat` is rounded down to a half of `ttl`, so equal
 * lists are equal texts on every node.
 *
 * A node that can't reach its store goes on with the list that it has, and `exp` tells when that stops being fresh.
 */
export function createFeed(options: FeedOptions): Feed {
  const { issuer, ttl, maxWaiters, keyring, revocations, lookFirst, now, monotonic } = options
  const half = Math.max(1, Math.floor(ttl / 2))
  const waiters = new Set<() => void>()
  const places = createFairShare(maxWaiters)
  let kept: (FeedDocument & { readonly version: string }) | undefined
  let signing: Promise<void> | undefined
  let notBefore = 0
  let closed = false

  /** When the set was last complete, in epoch seconds of our clock. */
  const completeAt = () => now() - Math.ceil(revocations.age())
  const issuedAt = () => Math.floor(completeAt() / half) * half
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
    notBefore = monotonic() + Math.max(GATHER_MS, (monotonic() - began) / MAX_SIGNING_SHARE)
  }
  const signOnce = () => {
    signing ??= sign().finally(() => {
      signing = undefined
    })
    return signing
  }
  const current = async () => {
    const look = lookFirst?.()
    if (look !== undefined) await look
    // At most twice: the signature in progress may have begun before the last change.
    for (let i = 0; i < 2 && kept?.version !== version(); i += 1) await signOnce()
    return kept as FeedDocument
  }
  const releaseAll = () => {
    for (const release of waiters) release()
  }
  const stop = revocations.onLook(async () => {
    if (waiters.size === 0) return
    const before = kept
    const after = await current().catch(() => before) // no key may sign now: the long polls go on waiting
    if (after !== before) releaseAll()
  })

  return {
    current,
    newerThan(etag, timeout, signal, network) {
      if (closed || signal.aborted || kept?.etag !== etag) return Promise.resolve()
      if (places.refusal(network) !== undefined) return Promise.resolve()
      places.take(network)
      return new Promise((resolve) => {
        const release = () => {
          if (!waiters.delete(release)) return
          places.leave(network)
          clearTimeout(timer)
          signal.removeEventListener('abort', release)
          resolve()
        }
        const timer = setTimeout(release, timeout)
        signal.addEventListener('abort', release)
        waiters.add(release)
      })
    },
    close() {
      closed = true
      stop()
      releaseAll()
    },
    get waiting() {
      return waiters.size
    },
  }
}
