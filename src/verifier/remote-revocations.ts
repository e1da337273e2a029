import { setTimeout as delay } from 'node:timers/promises'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { boundedFetch, failure } from '../http/bounded-fetch.ts'
import { FEED_TYPE, FeedClaims } from '../revocations/feed-format.ts'
import { RevocationSet } from '../revocations/revocation-set.ts'
import { checkHeader } from '../tokens/credential.ts'
import { createNodeSignature } from '../tokens/node-signature.ts'
import type { RevocationCheck } from '../tokens/verify.ts'
import type { Resolved } from './options.ts'
import type { RemoteKeys } from './remote-keys.ts'

const MAX_BYTES = 64 * 1024 * 1024
/** Seconds of a long poll. */
const POLL_WAIT_SECONDS = 25
/** Milliseconds between two requests at the least, and after failures. */
const PAUSE = { least: 250, most: 2000 }
/** No copy is called fresh for longer, whatever it says; seconds. */
const MAX_FRESH_SECONDS = 3600

export interface RemoteRevocations extends RevocationCheck {
  /** Resolves when the first copy is there, or could not be had. Never rejects: `onStale` says what happens then. */
  hydrate(): Promise<void>
  close(): void
  readonly size: number
}

interface Dated {
  readonly seq: number
  readonly iat: number
}
const NOTHING = { seq: -1, iat: -1, exp: Number.NEGATIVE_INFINITY }

const feedSchema = TypeCompiler.Compile(FeedClaims)

/**
 * The revocation feed of an issuer, followed by long polling. Each copy is verified like a token and takes the place
 * of the last.
 */
export function createRemoteRevocations(
  options: Resolved,
  feed: { uri: URL; onStale: string },
  keys: RemoteKeys,
): RemoteRevocations {
  const { policy, now, onEvent } = options
  const closing = new AbortController()
  const verifySignature = createNodeSignature()
  let set = new RevocationSet()
  let held: Dated & { exp: number } = NOTHING
  let etag: string | undefined

  const verified = async (text: string): Promise<FeedClaims> => {
    const kid = checkHeader(text, FEED_TYPE, MAX_BYTES)
    if (keys.verificationPem(kid) === undefined) await keys.seek(kid, true)
    const pem = keys.verificationPem(kid)
    if (pem === undefined) throw new Error('signed by a key that is not in the JWKS')
    const claims = verifySignature(text, pem)
    if (!feedSchema.Check(claims)) throw new Error('not a revocation feed')
    if (claims.iss !== policy.issuer) throw new Error('of another issuer')
    if (claims.iat > now() + policy.skew) throw new Error('dated in the future')
    if (claims.exp <= now() - policy.skew || claims.exp - claims.iat > MAX_FRESH_SECONDS) throw new Error('not fresh')
    return claims
  }
  const look = async () => {
    const uri = new URL(feed.uri)
    if (etag !== undefined) uri.searchParams.set('wait', String(POLL_WAIT_SECONDS))
    const timeout = options.timeout + (etag === undefined ? 0 : POLL_WAIT_SECONDS * 1000)
    const reply = await boundedFetch(uri, {
      fetch: options.fetch,
      timeout,
      maxBytes: MAX_BYTES,
      etag,
      signal: closing.signal,
    })
    if (reply.status === 304) return
    const claims = await verified(reply.text)
    if (closing.signal.aborted) return
    etag = reply.headers.get('etag') ?? undefined
    keys.withdraw(claims.keys) // for good, so an older copy has nothing to take back
    // The clock was set back: what the old one dated is no measure any more.
    if (held.iat > now() + policy.skew) held = NOTHING
    if (isOlder(claims, held)) return
    // A copy that is newer by date but knows less is of a server that has lost its store: what it lacks is not
    // forgotten.
    set = revocationSet(claims, claims.seq < held.seq ? set : new RevocationSet())
    held = claims
    onEvent({ type: 'revocations_applied', seq: claims.seq, entries: set.size + claims.keys.length })
  }
  const follow = async (first: () => void) => {
    for (let failures = 0; !closing.signal.aborted; ) {
      try {
        await look()
        failures = 0
      } catch (error) {
        if (closing.signal.aborted) break
        failures += 1
        etag = undefined // the next answer comes at once, and tells whether the issuer is back
        onEvent({ type: 'revocations_failed', reason: failure(error) })
      }
      first()
      const pause = Math.min(PAUSE.most, PAUSE.least * 2 ** Math.min(failures, 10))
      await delay(pause * (failures === 0 ? 1 : 0.5 + Math.random() / 2), undefined, { signal: closing.signal }).catch(
        () => undefined,
      )
    }
    first()
  }
  let following: Promise<void> | undefined
  return {
    judge: (claims) => set.judge(claims),
    isTooOld: () => feed.onStale === 'reject' && now() >= held.exp + policy.skew,
    hydrate() {
      following ??= new Promise((resolve, reject) => void follow(resolve).catch(reject))
      return following
    },
    close: () => closing.abort(),
    get size() {
      return set.size
    },
  }
}

/** Keys are withdrawn without a new number, so an equal copy is taken. */
function isOlder(copy: Dated, held: Dated): boolean {
  return copy.seq <= held.seq && copy.iat <= held.iat && (copy.seq < held.seq || copy.iat < held.iat)
}

/** @param set to add to */
function revocationSet({ sessions, accounts, clients, tokens }: FeedClaims, set: RevocationSet): RevocationSet {
  const rest = { seq: 0, expiresAt: Number.POSITIVE_INFINITY } // the feed itself leaves out what is over
  for (const subject of sessions) set.add({ kind: 'session', subject, minVersion: null, ...rest })
  for (const subject of tokens) set.add({ kind: 'token', subject, minVersion: null, ...rest })
  for (const [subject, minVersion] of Object.entries(accounts))
    set.add({ kind: 'account', subject, minVersion, ...rest })
  for (const [subject, minVersion] of Object.entries(clients)) set.add({ kind: 'client', subject, minVersion, ...rest })
  return set
}
