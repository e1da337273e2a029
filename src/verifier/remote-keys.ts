import { AppError } from '../errors/app-error.ts'
import { boundedFetch, type Fetched, failure } from '../http/bounded-fetch.ts'
import { Stopping } from '../http/stopping.ts'
import { type Timer, unreferenced } from '../timers.ts'
import type { VerificationKeys } from '../tokens/verify.ts'
import { ageSeconds, maxAgeSeconds, readJwks, withQuery } from './jwks-reply.ts'
import { boundedKid, KidSearch } from './kid-search.ts'
import type { Resolved } from './options.ts'
import { SingleFlight } from './single-flight.ts'
import type { Standstill } from './standstill.ts'

const MAX_BYTES = 256 * 1024
/** From one fetch of a copy to the next, at the least: a shared cache may send copies that are over already. */
const LEAST_FRESH_MS = 1000
/** `Age` is in whole seconds. */
const AGE_PRECISION_MS = 1000
/** From a failed fetch to the next: while there are good keys, and while every token is refused with 503. */
const RETRY_MS = { least: 500, most: 30_000, mostWithoutKeys: 2000 }

/** A JWKS as it was fetched. Instants are milliseconds of the monotonic clock, unless they say otherwise. */
interface Copy {
  readonly pems: ReadonlyMap<string, string>
  readonly etag: string | undefined
  /** When the issuer made it, as far as is known. */
  readonly madeAt: number
  /** From then on its keys are not used. */
  readonly goodUntil: number
  /** Epoch seconds: from then on another copy should be there. The monotonic clock stops while a machine sleeps. */
  readonly freshUntil: number
}

const NEVER = Number.NEGATIVE_INFINITY
const NO_COPY: Copy = { pems: new Map(), etag: undefined, madeAt: NEVER, goodUntil: NEVER, freshUntil: NEVER }

/** The JWKS of an issuer: kept for its `max-age`, fetched again behind the scenes, one request at a time. */
export class RemoteKeys implements VerificationKeys {
  readonly #options: Resolved
  readonly #monotonic: () => number
  readonly #standstill: Standstill
  readonly #closing = new Stopping()
  readonly #withdrawn = new Set<string>()
  readonly #search: KidSearch
  #copy = NO_COPY
  readonly #fetching: SingleFlight<void>
  #catchingUp: Promise<void> | undefined
  #timer: Timer | undefined
  #failedAt = NEVER
  #answeredAt = NEVER
  #failures = 0
  #standstills = 0

  /** @param monotonic milliseconds that only go forward */
  constructor(options: Resolved, monotonic: () => number, standstill: Standstill) {
    this.#options = options
    this.#monotonic = monotonic
    this.#standstill = standstill
    this.#search = new KidSearch(monotonic)
    this.#fetching = new SingleFlight(monotonic, options.timeout + 1000)
  }

  verificationPem(kid: string): string | undefined {
    return this.#withdrawn.has(kid) || !this.#hasGoodKeys() ? undefined : this.#copy.pems.get(kid)
  }

  /** Whether nothing is known of any key: its copy has ended, and no other one could be had. */
  hasNone(): boolean {
    return !this.#hasGoodKeys()
  }

  isRevoked(kid: string): boolean {
    return this.#withdrawn.has(kid)
  }

  /** Resolves when the keys are there. @throws AppError `keys_unavailable` */
  async hydrate(): Promise<void> {
    if (!this.#hasGoodKeys()) await this.#fetchOnce()
  }

  /**
   * After a standstill in which the copy ended: resolves when the issuer was asked once, with or without success.
   * Undefined while there is nothing to wait for. The keys stay good meanwhile.
   */
  due(): Promise<void> | undefined {
    const standstills = this.#standstill.count()
    if (standstills !== this.#standstills) {
      this.#standstills = standstills
      if (this.#hasGoodKeys() && this.#options.now() >= this.#copy.freshUntil) this.#catchUp()
    }
    return this.#catchingUp
  }

  /**
   * Searches for a kid that is not known, unless that was done a moment ago. Resolves when there is nothing more to be
   * learned.
   *
   * @param urgent for a search that no stranger can cause: it waits for no cool-down and starts none
   * @throws AppError `keys_unavailable` when the issuer can't be asked: whether the kid is good is not known then
   */
  async seek(kid: string, urgent = false): Promise<void> {
    await this.#fetching.current
    if (this.verificationPem(kid) !== undefined || !this.#mayAsk(kid, urgent)) return
    if (urgent) return this.#fetchOnce(kid)
    this.#search.began()
    await this.#fetchOnce(kid)
    this.#search.ended(kid, this.verificationPem(kid) !== undefined)
  }

  /** From now on none of these is used, whatever a JWKS or a later feed says. */
  withdraw(kids: readonly string[]): void {
    for (const kid of kids) this.#withdrawn.add(kid)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#closing.abort()
  }

  #hasGoodKeys(): boolean {
    return this.#monotonic() < this.#copy.goodUntil
  }

  /** Whether this kid is worth a request now. */
  #mayAsk(kid: string, urgent: boolean): boolean {
    if (this.#failures > 0 && this.#monotonic() < this.#failedAt + this.#backOff())
      throw new AppError('keys_unavailable', {
        reason: 'the last request failed a moment ago',
        refusal: 'keys_unavailable',
      })
    if (!this.#hasGoodKeys()) {
      if (this.#monotonic() < this.#answeredAt + LEAST_FRESH_MS)
        throw new AppError('keys_unavailable', {
          reason: 'the answer of a moment ago was too old',
          refusal: 'keys_unavailable',
        })
      return true
    }
    return !this.#withdrawn.has(kid) && (urgent || this.#search.maySearch(kid))
  }

  #backOff(): number {
    const most = this.#hasGoodKeys() ? RETRY_MS.most : RETRY_MS.mostWithoutKeys
    return Math.min(most, RETRY_MS.least * 2 ** Math.min(this.#failures - 1, 10))
  }

  #catchUp(): void {
    const done = this.#fetchOnce()
      .catch(() => undefined) // told by onEvent; the keys stay good for `keysMaxStale`
      .finally(() => {
        if (this.#catchingUp === done) this.#catchingUp = undefined
      })
    this.#catchingUp = done
  }

  #fetchOnce(kid?: string): Promise<void> {
    return this.#fetching.run(() => this.#fetch(kid))
  }

  /** @param kid that is searched: it stands in the URL, so that no shared cache can answer with an old copy */
  async #fetch(kid: string | undefined): Promise<void> {
    const { jwksUri, timeout, fetch, onEvent } = this.#options
    const url = kid === undefined ? jwksUri : withQuery(jwksUri, 'kid', boundedKid(kid))
    const headers = kid === undefined ? {} : { 'cache-control': 'no-cache' }
    const bounds = { fetch, timeout, maxBytes: MAX_BYTES, signal: this.#closing.signal }
    const began = this.#monotonic()
    try {
      await this.#keep(await boundedFetch(url, { ...bounds, headers, etag: this.#copy.etag }), began)
    } catch (error) {
      this.#failedAt = this.#monotonic()
      this.#failures += 1
      this.#fetchAfter(this.#backOff())
      onEvent({ type: 'keys_failed', reason: failure(error) })
      throw new AppError('keys_unavailable', { reason: failure(error), refusal: 'keys_unavailable', cause: error })
    }
    this.#failures = 0
    this.#answeredAt = this.#monotonic()
    onEvent({ type: 'keys_fetched', kids: [...this.#copy.pems.keys()] })
  }

  /** @param began when the request was sent: the time until its answer counts as age (RFC 9111 section 4.2.3) */
  async #keep({ status, text, headers }: Fetched, began: number): Promise<void> {
    const pems = status === 200 ? await readJwks(text, this.#options.platform.readKey) : this.#copy.pems
    const lifetime = maxAgeSeconds(headers) * 1000
    const age = ageSeconds(headers) * 1000
    const madeAt = began - age
    const freshFor = Math.max(LEAST_FRESH_MS, lifetime - (this.#monotonic() - madeAt))
    this.#fetchAfter(freshFor)
    // Of a shared cache. It would forget the newest key, and bring back a revoked one.
    if (status === 200 && madeAt + AGE_PRECISION_MS < this.#copy.madeAt) return
    this.#copy = {
      pems,
      etag: status === 200 ? (headers.get('etag') ?? undefined) : this.#copy.etag,
      madeAt: Math.max(madeAt, this.#copy.madeAt),
      goodUntil: madeAt + lifetime + this.#options.keysMaxStale * 1000,
      freshUntil: this.#options.now() + freshFor / 1000,
    }
  }

  #fetchAfter(milliseconds: number): void {
    clearTimeout(this.#timer)
    if (this.#closing.signal.aborted) return
    const again = () => void this.#fetchOnce().catch(() => undefined)
    this.#timer = unreferenced(setTimeout(again, milliseconds))
  }
}
