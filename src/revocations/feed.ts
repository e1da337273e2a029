import type { Clock } from '../clock.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import { createFairShare } from '../limits/fair-share.ts'
import { Changes, type ChangesAnswer } from './changes.ts'
import type { CursorWitness } from './cursor-witness.ts'
import { createFeedDocument, type FeedDocument } from './feed-document.ts'
import { createFeedWaits, type HangUp } from './feed-waits.ts'
import type { Revocations } from './follow-revocations.ts'
import { GatheredReleases, gatherTime } from './gathered-releases.ts'
import { createIssuedAt } from './issued-at.ts'
import type { LookFirst } from './look-first.ts'

export interface Feed {
  /**
   * The whole feed in one document.
   *
   * @throws AppError `signing_unavailable`
   */
  current(): Promise<FeedDocument>
  /**
   * Resolves when there is something newer than `etag`, after `timeout` milliseconds, or at once when too many wait
   * already, in all or from this network.
   *
   * @returns false when there was no place to wait
   */
  newerThan(etag: string, timeout: number, client: HangUp, network: string): Promise<boolean>
  /**
   * What came after the cursor. When that is nothing, it waits for something, for `timeout` milliseconds at most.
   *
   * @throws AppError `signing_unavailable`
   */
  changes(cursor: string, timeout: number, client: HangUp, network: string): Promise<ChangesReply>
  /** Ends every wait. From then on nobody waits. */
  close(): void
  readonly waiting: number
}

export interface ChangesReply extends ChangesAnswer {
  /** True when the request would have waited, but found no place. */
  readonly isTurnedAway: boolean
}

export interface FeedOptions {
  readonly issuer: string
  /** Seconds for which a copy counts as fresh. */
  readonly ttl: number
  readonly maxWaiters: number
  readonly keyring: Pick<LiveKeyring, 'signingKey' | 'revokedKids' | 'verificationPem'>
  readonly revocations: Pick<
    Revocations,
    'seq' | 'history' | 'size' | 'age' | 'snapshot' | 'entries' | 'recent' | 'onLook'
  >
  /** Notices by the cursors of followers that the store went back. Default: none. */
  readonly witness?: CursorWitness
  /** The look to wait for when this process stood still: it may have missed what the feed must say. Default: none. */
  readonly lookFirst?: LookFirst
  readonly now: Clock
  /** Milliseconds on a clock that can't be set. */
  readonly monotonic: () => number
}

/**
 * What is revoked, for verifiers in other services: as one signed list, and as a stream of signed changes. `iat` is
 * rounded down to a half of `ttl` and RS256 is deterministic, so equal lists are equal texts on every node.
 *
 * A node that can't reach its store goes on with the list that it has, and `exp` tells when that stops being fresh.
 */
export function createFeed(options: FeedOptions): Feed {
  const { ttl, maxWaiters, revocations, witness, lookFirst, now, monotonic } = options
  const half = Math.max(1, Math.floor(ttl / 2))
  const issuedAt = createIssuedAt(revocations, now, half)
  const places = createFairShare(maxWaiters)
  const ofWhole = createFeedWaits<string>(places)
  const ofChanges = createFeedWaits<string>(places)
  const document = createFeedDocument({ ...options, issuedAt, gatherTime: () => gatherTime(places.taken) })
  const changes = new Changes({ ...options, issuedAt })
  let announced = changes.cursor()

  const current = async () => {
    const look = lookFirst?.()
    if (look !== undefined) await look
    return document.current()
  }
  const releases = new GatheredReleases({
    waiting: () => places.taken,
    monotonic,
    async release() {
      const isAnew = changes.take()
      const cursor = changes.cursor()
      // It is signed once, before all who wait ask for it. While no key may sign they go on waiting.
      if (ofChanges.size > 0) await changes.answer(announced)
      await ofChanges.release((held) => changes.isBehind(held), { getLongAnswers: isAnew })
      announced = cursor
    },
  })
  const releaseWhole = async () => {
    if (ofWhole.size === 0) return
    const newest = await document.current().catch(() => undefined) // no key may sign now: the long polls go on waiting
    if (newest !== undefined) await ofWhole.release((held) => held !== newest.etag)
  }
  const stop = revocations.onLook(async () => {
    witness?.note()
    changes.looked()
    if (changes.hasMore || changes.cursor() !== announced) releases.request()
    await releaseWhole()
  })

  return {
    current,
    async newerThan(etag, timeout, client, network) {
      if (document.kept?.etag !== etag) return true
      const wait = ofWhole.wait(etag, timeout, client, network)
      await wait
      return wait !== undefined
    },
    async changes(cursor, timeout, client, network) {
      witness?.hear(cursor)
      const look = lookFirst?.()
      if (look !== undefined) {
        await look
        changes.take() // not gathered: the question is older than what was found
      }
      if (timeout === 0 || changes.isBehind(cursor)) return { ...(await changes.answer(cursor)), isTurnedAway: false }
      // A copy is renewed before it expires, also when `ttl` is shorter than the wait.
      const wait = ofChanges.wait(cursor, Math.min(timeout, (ttl - half) * 1000), client, network)
      await wait
      return { ...(await changes.answer(cursor)), isTurnedAway: wait === undefined }
    },
    close() {
      stop()
      releases.close()
      ofWhole.close()
      ofChanges.close()
    },
    get waiting() {
      return places.taken
    },
  }
}
