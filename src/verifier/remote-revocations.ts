import { setTimeout as delay } from 'node:timers/promises'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { boundedFetch, failure } from '../http/bounded-fetch.ts'
import { FEED_TYPE, FeedClaims } from '../revocations/feed-format.ts'
import { revocationExpiry } from '../revocations/revocation.ts'
import { RevocationSet } from '../revocations/revocation-set.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import { checkHeader } from '../tokens/credential.ts'
import { createNodeSignature } from '../tokens/node-signature.ts'
import type { RevocationCheck, Verdict } from '../tokens/verify.ts'
import { withQuery } from './jwks-reply.ts'
import type { Resolved } from './options.ts'
import type { RemoteKeys } from './remote-keys.ts'
import type { Standstill } from './standstill.ts'

const MAX_BYTES = 64 * 1024 * 1024
/** Seconds of a long poll. */
const POLL_WAIT_SECONDS = 25
/** Between two requests at the least, and after failures. */
const PAUSE_MS = { least: 250, most: 2000 }
/** No copy counts as fresh for longer, whatever it says. */
const MAX_FRESH_SECONDS = 3600

interface Dated {
  readonly seq: number
  readonly iat: number
}
const NOTHING = { seq: -1, iat: -1, exp: Number.NEGATIVE_INFINITY }

const feedSchema = TypeCompiler.Compile(FeedClaims)

/**
 * The revocation feed of an issuer, followed by long polling. Each copy is verified like a token and takes the place of
 * the last.
 */
export class RemoteRevocations implements RevocationCheck {
  readonly #options: Resolved
  readonly #feed: NonNullable<Resolved['feed']>
  readonly #keys: RemoteKeys
  readonly #standstill: Standstill
  readonly #closing = new AbortController()
  readonly #verifySignature = createNodeSignature()
  #set = new RevocationSet()
  #held: Dated & { readonly exp: number } = NOTHING
  #etag: string | undefined
  #following: Promise<void> | undefined
  #catchingUp: Promise<void> | undefined
  /** True when the first look is over, whatever came of it. */
  #isSettled = false
  /** True when the last look gave no fresh copy: another one would not help now. */
  #wasInVain = false
  #standstills = 0
  /** Until then nothing is forgotten: the issuer has lost its store. Epoch seconds. */
  #keepsUntil = 0

  constructor(options: Resolved, feed: NonNullable<Resolved['feed']>, keys: RemoteKeys, standstill: Standstill) {
    this.#options = options
    this.#feed = feed
    this.#keys = keys
    this.#standstill = standstill
  }

  judge(claims: AccessTokenClaims): Verdict {
    return this.#set.judge(claims)
  }

  isTooOld(): boolean {
    return this.#feed.onStale === 'reject' && this.#isStale()
  }

  /** Resolves when the first copy is there, or could not be had. Never rejects: `onStale` says what happens then. */
  hydrate(): Promise<void> {
    this.#following ??= new Promise((resolve, reject) => {
      const first = () => {
        this.#isSettled = true
        resolve()
      }
      this.#follow(first).catch(reject)
    })
    return this.#following
  }

  /**
   * A look that tokens have to wait for: the first one, one after a standstill, and one when the copy has ended and
   * nobody tried yet to get another. Resolves when it is over, with or without success; then `onStale` decides.
   * Undefined while there is nothing to wait for.
   */
  due(): Promise<void> | undefined {
    if (!this.#isSettled) return this.hydrate()
    const standstills = this.#standstill.count()
    const stoodStill = standstills !== this.#standstills
    this.#standstills = standstills
    if (stoodStill || (this.#catchingUp === undefined && !this.#wasInVain && this.#isStale())) this.#catchUp()
    return this.#catchingUp
  }

  close(): void {
    this.#closing.abort()
  }

  get size(): number {
    return this.#set.size
  }

  #isStale(): boolean {
    const { now, policy } = this.#options
    return now() >= this.#held.exp + policy.skew
  }

  #catchUp(): void {
    const done = this.#lookTwice().finally(() => {
      if (this.#catchingUp === done) this.#catchingUp = undefined
    })
    this.#catchingUp = done
  }

  /** The first request after a standstill may go out on a connection that the issuer has closed meanwhile. */
  async #lookTwice(): Promise<void> {
    const failedFast = (error: unknown) => (error as Error).name !== 'TimeoutError'
    try {
      await this.#look(0).catch((error) => (failedFast(error) ? this.#look(0) : Promise.reject(error)))
    } catch (error) {
      this.#failed(error)
    }
  }

  async #follow(first: () => void): Promise<void> {
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#look(this.#etag === undefined ? 0 : POLL_WAIT_SECONDS)
        failures = 0
      } catch (error) {
        if (signal.aborted) break
        failures += 1
        this.#failed(error)
      }
      first()
      const pause = Math.min(PAUSE_MS.most, PAUSE_MS.least * 2 ** Math.min(failures, 10))
      const jitter = failures === 0 ? 1 : 0.5 + Math.random() / 2
      await delay(pause * jitter, undefined, { signal, ref: false }).catch(() => undefined)
    }
    first()
  }

  #failed(error: unknown): void {
    this.#wasInVain = true
    this.#etag = undefined // the next answer comes at once, and tells whether the issuer is back
    this.#options.onEvent({ type: 'revocations_failed', reason: failure(error) })
  }

  /** @param wait seconds of a long poll; 0 for an answer at once */
  async #look(wait: number): Promise<void> {
    const { fetch, timeout } = this.#options
    const { signal } = this.#closing
    const url = wait === 0 ? this.#feed.uri : withQuery(this.#feed.uri, 'wait', String(wait))
    const bounds = { fetch, timeout: timeout + wait * 1000, maxBytes: MAX_BYTES, signal }
    const { status, text, headers } = await boundedFetch(url, { ...bounds, etag: this.#etag })
    if (status === 200) {
      const claims = await this.#verified(text)
      if (signal.aborted) return
      this.#etag = headers.get('etag') ?? undefined
      this.#apply(claims)
    }
    this.#wasInVain = this.#isStale()
  }

  async #verified(text: string): Promise<FeedClaims> {
    const { policy, now } = this.#options
    const kid = checkHeader(text, FEED_TYPE, MAX_BYTES)
    if (this.#keys.verificationPem(kid) === undefined) await this.#keys.seek(kid, true)
    const pem = this.#keys.verificationPem(kid)
    if (pem === undefined) throw new Error('signed by a key that is not in the JWKS')
    const claims = this.#verifySignature(text, pem)
    if (!feedSchema.Check(claims)) throw new Error('not a revocation feed')
    if (claims.iss !== policy.issuer) throw new Error('of another issuer')
    if (claims.iat > now() + policy.skew) throw new Error('dated in the future')
    if (claims.exp <= now() - policy.skew || claims.exp - claims.iat > MAX_FRESH_SECONDS) throw new Error('not fresh')
    return claims
  }

  #apply(claims: FeedClaims): void {
    const { policy, now, onEvent } = this.#options
    this.#keys.withdraw(claims.keys) // for good, so an older copy has nothing to take back
    // The clock was set back: the date of the old copy is no measure any more.
    if (this.#held.iat > now() + policy.skew) this.#held = NOTHING
    if (isOlder(claims, this.#held)) return
    // A copy that is newer by date but knows less is of a server that has lost its store: what it lacks is not
    // forgotten.
    if (claims.seq < this.#held.seq) this.#keepsUntil = revocationExpiry(now())
    this.#set = revocationSet(claims, now() < this.#keepsUntil ? this.#set : new RevocationSet())
    this.#held = claims
    onEvent({ type: 'revocations_applied', seq: claims.seq, entries: this.#set.size + claims.keys.length })
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
