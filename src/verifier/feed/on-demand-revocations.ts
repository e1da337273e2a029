import { monotonicClock } from '../../clock.ts'
import type { Refusal } from '../../errors/refusals.ts'
import { failure } from '../../http/bounded-fetch.ts'
import { Stopping } from '../../http/stopping.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { RevocationCheck, Verdict } from '../../tokens/verify.ts'
import { Failures } from '../failures.ts'
import { keepAwake } from '../keep-awake.ts'
import type { Clocks } from '../keys/jwks-copy.ts'
import type { RemoteKeys } from '../keys/remote-keys.ts'
import type { CallOptions } from '../mode-options.ts'
import type { Resolved } from '../options.ts'
import { SingleFlight } from '../single-flight.ts'
import { mostOfLook } from '../store/shared-look.ts'
import { feedParts } from './feed-parts.ts'
import { feedTidy } from './feed-tidy.ts'
import { lookTwice } from './look-twice.ts'

/**
 * From a failed look to the next, doubled by each: at most two seconds, or as long as a copy may be old, up to this.
 */
const BACK_OFF_MS = { least: 500, most: 30_000, mostAtLeast: 2000 }
/** Milliseconds for which a note in the store stands before its writer asks. */
const SETTLE_MS = 100
/** Seconds after a failure for which no other verifier that shares the store asks. */
const MOST_FAILED_SECONDS = 2

/** The look at the issuer, by whomever, that the copy is as good as. */
interface Seen {
  /** Epoch seconds. */
  readonly at: number
  /** The age that it had when it became known, in seconds, and the instant of that on the monotonic clock. */
  readonly age: number
  readonly since: number
  /** Whether this verifier made it: what a store says of its age is not signed. */
  readonly isOwn: boolean
}

/**
 * The revocation feed of an issuer, without timers: it is looked at when a token comes and the copy is too old. With a
 * store one verifier looks for all that share it.
 */
export class OnDemandRevocations implements RevocationCheck {
  readonly #options: Resolved
  readonly #feed: NonNullable<Resolved['feed']>
  readonly #monotonic: () => number
  readonly #closing = new Stopping()
  readonly #parts: ReturnType<typeof feedParts>
  readonly #looking: SingleFlight<void>
  readonly #tidy: () => Promise<void>
  #seen: Seen | undefined
  readonly #failures = new Failures()
  /** Milliseconds after the last failure in which nobody asks. */
  #backOff = 0

  /** @param monotonic milliseconds that only go forward */
  constructor(options: Resolved, feed: NonNullable<Resolved['feed']>, keys: RemoteKeys, monotonic = monotonicClock) {
    this.#options = options
    this.#feed = feed
    this.#monotonic = monotonic
    this.#parts = feedParts(options, feed.uri, keys, monotonic, this.#closing.signal)
    this.#tidy = feedTidy(this.#parts.copy, options.now, monotonic)
    this.#looking = new SingleFlight(monotonic, 2 * mostOfLook(options.timeout, options.store !== undefined))
  }

  judge(claims: AccessTokenClaims): Verdict {
    return this.#parts.copy.judge(claims)
  }

  refusalOf(claims: AccessTokenClaims): Refusal {
    return this.#parts.copy.refusalOf(claims)
  }

  isTooOld(): boolean {
    return this.#feed.onStale === 'reject' && this.#isStale()
  }

  get size(): number {
    return this.#parts.copy.size
  }

  /** Resolves when there is a copy that is young enough, or none could be had. Never rejects. */
  async hydrate(): Promise<void> {
    if (this.#age() >= this.#feed.maxFeedAge) await this.#lookUntil(this.#feed.maxFeedAge)
  }

  /**
   * A look that a token has to wait for, because the copy is too old. Resolves when it is over, with or without
   * success; then `onStale` decides. Undefined while there is nothing to wait for: also when it is known that the
   * issuer is away, and where `waitUntil` lets the look go on behind the answer.
   */
  due({
    maxFeedAge = this.#feed.maxFeedAge,
    waitUntil = this.#options.waitUntil,
  }: CallOptions = {}): Promise<void> | undefined {
    const age = this.#age()
    if (age < maxFeedAge / (waitUntil === undefined ? 1 : 2) || this.#isBackingOff()) return undefined
    const isOver = age >= maxFeedAge
    // What is known of the issuer grows old like the copy: a failure from before a freeze says nothing of now.
    const isTry = waitUntil !== undefined && this.#hasFailedWithin(this.#feed.maxFeedAge * 1000)
    const look = isOver ? this.#lookUntil(maxFeedAge) : this.#lookOnce(maxFeedAge / 2)
    keepAwake(look, waitUntil)
    return isOver && !isTry ? look : undefined
  }

  close(): void {
    this.#closing.abort()
  }

  #isStale(): boolean {
    return this.#parts.copy.isStale(this.#options.now())
  }

  #isBackingOff(): boolean {
    return this.#closing.signal.aborted || this.#hasFailedWithin(0)
  }

  /** @param extra milliseconds after the back-off */
  #hasFailedWithin(extra: number): boolean {
    return this.#failures.isWithin(this.#backOff + extra, this.#clocks())
  }

  #clocks(): Clocks {
    return { monotonic: this.#monotonic(), seconds: this.#options.now() }
  }

  /** Seconds since the look at the issuer that the copy is as good as: by the clock that says more. */
  #age(): number {
    if (this.#seen === undefined || (!this.#seen.isOwn && this.#isStale())) return Number.POSITIVE_INFINITY
    const { at, age, since } = this.#seen
    return Math.max(this.#options.now() - at, age + (this.#monotonic() - since) / 1000)
  }

  #saw(at: number, isOwn: boolean): void {
    const seen = { at, age: Math.max(0, this.#options.now() - at), since: this.#monotonic(), isOwn }
    if (isOwn || seen.age < this.#age()) this.#seen = seen
  }

  /** Whoever joins a look that would do for others may need another one. */
  async #lookUntil(seconds: number): Promise<void> {
    await this.#lookOnce(seconds)
    if (this.#age() >= seconds && !this.#isBackingOff()) await this.#lookOnce(seconds)
  }

  /** @param seconds that a look of another verifier may be old to do */
  #lookOnce(seconds: number): Promise<void> {
    return this.#looking.run(async () => {
      try {
        await this.#shared(seconds)
        this.#failures.clear()
      } catch (error) {
        this.#failed(error)
      }
      await this.#tidy()
    })
  }

  #shared(seconds: number): Promise<true> {
    const { stored } = this.#parts
    if (stored === undefined) return this.#ask()
    return stored.entry.shared.look<true>({
      found: async () => {
        const at = await stored.load()
        if (at !== undefined) this.#saw(at, false)
        return this.#age() < seconds || undefined
      },
      ask: () => this.#ask(),
      settleMs: SETTLE_MS,
      mostFailedSeconds: MOST_FAILED_SECONDS,
    })
  }

  async #ask(): Promise<true> {
    const { look, stored } = this.#parts
    const at = this.#options.now() // before the request: what is revoked meanwhile may not be in the answer
    await lookTwice(() => look.look(0))
    this.#saw(at, true)
    await stored?.save(at) // the others wait for it
    return true
  }

  #failed(error: unknown): void {
    if (this.#closing.signal.aborted) return
    const { look } = this.#parts
    const most = Math.min(BACK_OFF_MS.most, Math.max(BACK_OFF_MS.mostAtLeast, this.#feed.maxFeedAge * 1000))
    const backOff = Math.min(most, BACK_OFF_MS.least * 2 ** Math.min(this.#failures.count, 10))
    this.#failures.add(this.#clocks())
    this.#backOff = Math.max(backOff, look.retryAfter)
    look.failed()
    this.#options.onEvent({ type: 'revocations_failed', reason: failure(error) })
  }
}
