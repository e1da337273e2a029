import { monotonicClock } from '../../clock.ts'
import type { Refusal } from '../../errors/refusals.ts'
import { failure } from '../../http/bounded-fetch.ts'
import { Stopping } from '../../http/stopping.ts'
import { pause } from '../../timers.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { RevocationCheck, Verdict } from '../../tokens/verify.ts'
import type { RemoteKeys } from '../keys/remote-keys.ts'
import type { CallOptions } from '../mode-options.ts'
import type { Resolved } from '../options.ts'
import type { Standstill } from '../standstill.ts'
import type { FeedInStore } from '../store/feed-in-store.ts'
import type { FeedCopy } from './feed-copy.ts'
import type { FeedLook } from './feed-look.ts'
import { feedParts } from './feed-parts.ts'
import { feedTidy } from './feed-tidy.ts'
import { lookTwice } from './look-twice.ts'

/** Seconds of a long poll. */
const POLL_WAIT_SECONDS = 25
/** Between two requests at the least, and after failures. */
const PAUSE_MS = { least: 250, most: 2000 }

/**
 * The revocation feed of an issuer, followed by long polling: as a stream of changes, or as a whole where the issuer
 * has no stream. What comes is verified like a token.
 */
export class RemoteRevocations implements RevocationCheck {
  readonly #options: Resolved
  readonly #feed: NonNullable<Resolved['feed']>
  readonly #standstill: Standstill
  readonly #closing = new Stopping()
  readonly #copy: FeedCopy
  readonly #look: FeedLook
  readonly #stored: FeedInStore | undefined
  readonly #tidy: () => Promise<void>
  #following: Promise<void> | undefined
  #catchingUp: Promise<void> | undefined
  /** True when the first look is over, whatever came of it. */
  #isSettled = false
  /** True when the last look gave no fresh copy: another one would not help now. */
  #wasInVain = false
  /** True after a failure: the next answer has to come at once, to tell whether the issuer is back. */
  #isInDoubt = false
  #standstills = 0
  /** Epoch seconds of the last look that succeeded, before it began. */
  #lookedAt = 0

  /** @param monotonic milliseconds that only go forward */
  constructor(
    options: Resolved,
    feed: NonNullable<Resolved['feed']>,
    keys: RemoteKeys,
    standstill: Standstill,
    monotonic = monotonicClock,
  ) {
    this.#options = options
    this.#feed = feed
    this.#standstill = standstill
    const { copy, look, stored } = feedParts(options, feed.uri, keys, monotonic, this.#closing.signal)
    this.#copy = copy
    this.#look = look
    this.#stored = stored
    this.#tidy = feedTidy(copy, options.now, monotonic)
  }

  judge(claims: AccessTokenClaims): Verdict {
    return this.#copy.judge(claims)
  }

  refusalOf(claims: AccessTokenClaims): Refusal {
    return this.#copy.refusalOf(claims)
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
  due(_call?: CallOptions, seconds = this.#options.now()): Promise<void> | undefined {
    if (!this.#isSettled) return this.hydrate()
    const standstills = this.#standstill.count(seconds)
    const stoodStill = standstills !== this.#standstills
    this.#standstills = standstills
    if (stoodStill || (this.#catchingUp === undefined && !this.#wasInVain && this.#copy.isStale(seconds)))
      this.#catchUp()
    return this.#catchingUp
  }

  close(): void {
    this.#closing.abort()
  }

  get size(): number {
    return this.#copy.size
  }

  #isStale(): boolean {
    return this.#copy.isStale(this.#options.now())
  }

  #catchUp(): void {
    const done = this.#lookTwice().finally(() => {
      if (this.#catchingUp === done) this.#catchingUp = undefined
    })
    this.#catchingUp = done
  }

  async #lookTwice(): Promise<void> {
    try {
      await lookTwice(() => this.#lookOnce(0))
    } catch (error) {
      this.#failed(error)
    }
  }

  async #lookOnce(wait: number): Promise<'done' | 'gap'> {
    const at = this.#options.now()
    let found: 'done' | 'gap'
    try {
      found = await this.#look.look(wait)
      this.#lookedAt = at
    } finally {
      this.#stored?.saveSoon(this.#lookedAt) // what was applied before a failure too
    }
    this.#wasInVain = this.#isStale()
    this.#isInDoubt = false
    return found
  }

  async #follow(first: () => void): Promise<void> {
    const { signal } = this.#closing
    if (this.#stored !== undefined) await this.#takeStored(this.#stored, first)
    for (let failures = 0; !signal.aborted; ) {
      let found: 'done' | 'gap' = 'done'
      try {
        found = await this.#lookOnce(!this.#isInDoubt && this.#look.hasBegun() ? POLL_WAIT_SECONDS : 0)
        failures = 0
      } catch (error) {
        if (signal.aborted) break
        failures += 1
        this.#failed(error)
      }
      await this.#tidy()
      if (found === 'done' || this.#look.startsAnew > 1) first() // after a gap the whole is under way
      await pause(Math.max(this.#pause(failures, found), this.#look.retryAfter), signal)
    }
    first()
  }

  /** With a store the first copy is the one that it has. It needs no look while it is fresh. */
  async #takeStored(stored: FeedInStore, first: () => void): Promise<void> {
    try {
      this.#lookedAt = (await stored.load()) ?? 0
    } catch (error) {
      stored.entry.report(error)
    }
    if (!this.#isStale()) first()
  }

  /** @returns milliseconds to the next request */
  #pause(failures: number, found: 'done' | 'gap'): number {
    if (failures > 0) return growing(failures) * (0.5 + Math.random() / 2)
    const { startsAnew } = this.#look
    if (found === 'gap' && startsAnew <= 1) return 0
    return growing(Math.max(0, startsAnew - 1))
  }

  #failed(error: unknown): void {
    this.#wasInVain = true
    this.#isInDoubt = true
    this.#look.failed()
    this.#options.onEvent({ type: 'revocations_failed', reason: failure(error) })
  }
}

/** Milliseconds: twice as long each time, up to a bound. */
function growing(times: number): number {
  return Math.min(PAUSE_MS.most, PAUSE_MS.least * 2 ** Math.min(times, 10))
}
