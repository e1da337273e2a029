import { AppError } from '../../errors/app-error.ts'
import { failure } from '../../http/bounded-fetch.ts'
import { Stopping } from '../../http/stopping.ts'
import { type Timer, unreferenced } from '../../timers.ts'
import type { VerificationKeys } from '../../tokens/verify.ts'
import { Failures } from '../failures.ts'
import { keepAwake } from '../keep-awake.ts'
import type { CallOptions } from '../mode-options.ts'
import type { Resolved } from '../options.ts'
import { SingleFlight } from '../single-flight.ts'
import type { Standstill } from '../standstill.ts'
import { KeysInStore } from '../store/keys-in-store.ts'
import { mostOfLook } from '../store/shared-look.ts'
import { StoreEntry } from '../store/store-entry.ts'
import { type Clocks, isFresh, isGood, isOlder, NO_COPY } from './jwks-copy.ts'
import { askForJwks } from './jwks-request.ts'
import { AWAY_MS, backOffMs, keysUnavailable, MANY } from './keys-unavailable.ts'
import { KidSearch } from './kid-search.ts'

/** Milliseconds for which a note in the store stands before its writer asks: while there are no good keys, and else. */
const SETTLE_MS = { withoutKeys: 400, withKeys: 100 }
/** From an answer that was too old to be used to the next request. */
const LEAST_PAUSE_MS = 1000
const NEVER = Number.NEGATIVE_INFINITY

/** The JWKS of an issuer, kept for its `max-age` and fetched again behind the scenes or on demand, one at a time. */
export class RemoteKeys implements VerificationKeys {
  readonly #options: Resolved
  readonly #monotonic: () => number
  readonly #standstill: Standstill
  readonly #closing = new Stopping()
  readonly #withdrawn = new Set<string>()
  readonly #search: KidSearch
  readonly #store: KeysInStore | undefined
  readonly #isOnDemand: boolean
  readonly #fetching: SingleFlight<void>
  #copy = NO_COPY
  /** True for keys of the store that are over their `max-age`: tokens wait for one look. */
  #isUnchecked = false
  #catchingUp: Promise<void> | undefined
  #timer: Timer | undefined
  #answeredAt = NEVER
  readonly #failures = new Failures()
  #standstills = 0

  /** @param monotonic milliseconds that only go forward */
  constructor(options: Resolved, monotonic: () => number, standstill: Standstill) {
    this.#options = options
    this.#isOnDemand = options.mode === 'on-demand'
    this.#monotonic = monotonic
    this.#standstill = standstill
    this.#search = new KidSearch(monotonic)
    const { store, jwksUri, timeout } = options
    const entry = store && new StoreEntry(store, 'keys', jwksUri, options, monotonic, this.#closing.signal)
    this.#store = entry && new KeysInStore(options, entry)
    this.#fetching = new SingleFlight(monotonic, mostOfLook(timeout, entry !== undefined))
  }

  verificationPem(kid: string): string | undefined {
    return this.#withdrawn.has(kid) || !this.hasGoodKeys() ? undefined : this.#copy.pems.get(kid)
  }

  isRevoked(kid: string): boolean {
    return this.#withdrawn.has(kid)
  }

  /** Resolves when the keys are there. @throws AppError `keys_unavailable` */
  async hydrate(): Promise<void> {
    if (!this.hasGoodKeys()) await this.#fetchOnce().catch((error) => this.#unlessStored(error))
  }

  /**
   * A look that tokens have to wait for: after a standstill in which the copy ended, for an old copy of a store, and on
   * demand for every copy that has ended. Resolves when the issuer was asked once, with or without success. Undefined
   * while there is nothing to wait for. The keys stay good meanwhile.
   */
  due(call: CallOptions = {}, seconds?: number): Promise<void> | undefined {
    if (this.#isOnDemand) return this.#dueOnDemand(call.waitUntil ?? this.#options.waitUntil)
    const standstills = this.#standstill.count(seconds)
    if (standstills !== this.#standstills || this.#isUnchecked) {
      this.#standstills = standstills
      this.#isUnchecked = false
      if (this.hasGoodKeys() && this.#options.now() >= this.#copy.freshUntilSeconds) this.#catchUp()
    }
    return this.#catchingUp
  }

  #dueOnDemand(waitUntil: CallOptions['waitUntil']): Promise<void> | undefined {
    const clocks = this.#clocks()
    const isOver = !isFresh(this.#copy, clocks)
    if ((!isOver && (waitUntil === undefined || isFresh(this.#copy, clocks, 0.5))) || this.#isBackingOff())
      return undefined
    const look = this.#fetchOnce(undefined, isOver ? 1 : 0.5).catch(() => undefined) // told by onEvent
    keepAwake(look, waitUntil)
    // Once it is known that the issuer is away, tokens of good keys do not wait for each further try.
    const isTry = waitUntil !== undefined && this.#failures.isWithin(AWAY_MS, clocks) && this.hasGoodKeys()
    return isOver && !isTry ? look : undefined
  }

  /**
   * Searches for a kid that is not known, unless that was done a moment ago. Resolves when there is nothing more to be
   * learned.
   *
   * @param urgent for a search that no stranger can cause: it waits for no cool-down and starts none
   * @throws AppError `keys_unavailable` when the issuer can't be asked: whether the kid is good is not known then
   */
  async seek(kid: string, urgent = false): Promise<void> {
    await this.#fetching.current?.catch((error) => this.#unlessStored(error, kid))
    if (this.verificationPem(kid) !== undefined || !this.#mayAsk(kid, urgent)) return
    if (!urgent) this.#search.began()
    await this.#fetchOnce(kid).catch((error) => this.#unlessStored(error, kid))
    if (urgent) return
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

  #clocks(): Clocks {
    return { monotonic: this.#monotonic(), seconds: this.#options.now() }
  }

  hasGoodKeys(): boolean {
    return isGood(this.#copy, this.#monotonic(), this.#options.now)
  }

  #isBackingOff(): boolean {
    return this.#failures.isWithin(this.#backOff(), this.#clocks())
  }

  /** A store may have had what the issuer could not be asked for. @throws the error, if it had not */
  #unlessStored(error: unknown, kid?: string): void {
    if (kid === undefined ? !this.hasGoodKeys() : this.verificationPem(kid) === undefined) throw error
  }

  /** Whether this kid is worth a request now. */
  #mayAsk(kid: string, urgent: boolean): boolean {
    if (this.#withdrawn.has(kid)) return false
    if (this.#isBackingOff()) throw keysUnavailable('the last request failed a moment ago')
    if (!this.hasGoodKeys()) {
      if (this.#monotonic() < this.#answeredAt + LEAST_PAUSE_MS)
        throw keysUnavailable('the answer of a moment ago was too old')
      return true
    }
    return urgent || this.#search.maySearch(kid)
  }

  #backOff(): number {
    return backOffMs(this.#failures.count, this.hasGoodKeys())
  }

  #catchUp(): void {
    const done = this.#fetchOnce()
      .catch(() => undefined) // told by onEvent; the keys stay good for `keysMaxStale`
      .finally(() => {
        if (this.#catchingUp === done) this.#catchingUp = undefined
      })
    this.#catchingUp = done
  }

  /** @param share of its lifetime in which a copy of the store is as good as a new one */
  #fetchOnce(kid?: string, share = 1): Promise<void> {
    return this.#fetching.run(() => this.#obtain(kid, share))
  }

  /** @throws AppError `keys_unavailable` */
  async #obtain(kid: string | undefined, share: number): Promise<void> {
    const { mode, now } = this.#options
    const store = this.#store
    if (store === undefined) return this.#fetch(kid)
    if (mode === 'follow') return this.hasGoodKeys() ? this.#fetch(kid) : this.#start(store, kid)
    const began = now()
    await store.entry.shared
      .look<true>({
        found: async () => {
          const madeAt = await this.#takeStored(store)
          if (kid === undefined) return isFresh(this.#copy, this.#clocks(), share) || undefined
          // Somebody has looked since, for this kid or another one.
          return this.#copy.pems.has(kid) || (madeAt !== undefined && madeAt >= began) || undefined
        },
        ask: async () => {
          await this.#fetch(kid)
          return true
        },
        settleMs: this.hasGoodKeys() ? SETTLE_MS.withKeys : SETTLE_MS.withoutKeys,
        mostFailedSeconds: backOffMs(MANY, this.hasGoodKeys()) / 1000,
      })
      .catch((error) => {
        throw error instanceof AppError ? error : this.#failed(error)
      })
    this.#failures.clear()
  }

  /** With a store the first keys are those that it has. */
  async #start(store: KeysInStore, kid: string | undefined): Promise<void> {
    await this.#takeStored(store).catch((error) => store.entry.report(error))
    if (!this.hasGoodKeys() || (kid !== undefined && !this.#copy.pems.has(kid))) return this.#fetch(kid)
    const freshFor = this.#copy.freshUntil - this.#monotonic()
    this.#isUnchecked = freshFor <= 0
    this.#fetchAfter(Math.max(0, freshFor))
  }

  /** @returns when the issuer made what the store has, in epoch seconds. @throws StoreFailed */
  async #takeStored(store: KeysInStore): Promise<number | undefined> {
    const stored = await store.load(() => this.#clocks())
    const { copy } = stored ?? {}
    if (copy !== undefined && !isOlder(copy, this.#copy, this.#options.mode === 'on-demand')) this.#copy = copy
    return stored?.madeAt
  }

  /** @param kid that is searched */
  async #fetch(kid: string | undefined): Promise<void> {
    const { onEvent, mode } = this.#options
    try {
      const asked = await askForJwks(this.#options, kid, this.#copy, () => this.#clocks(), this.#closing.signal)
      this.#copy = asked.copy
      this.#fetchAfter(asked.freshFor)
    } catch (error) {
      throw this.#failed(error)
    }
    this.#failures.clear()
    this.#answeredAt = this.#monotonic()
    onEvent({ type: 'keys_fetched', kids: [...this.#copy.pems.keys()] })
    const saved = this.#store?.save(this.#copy, this.#clocks())
    if (mode === 'on-demand') await saved // the others wait for it
  }

  #failed(error: unknown): AppError {
    this.#failures.add(this.#clocks())
    this.#fetchAfter(this.#backOff())
    this.#options.onEvent({ type: 'keys_failed', reason: failure(error) })
    return keysUnavailable(failure(error), error)
  }

  #fetchAfter(milliseconds: number): void {
    clearTimeout(this.#timer)
    if (this.#closing.signal.aborted || this.#options.mode === 'on-demand') return
    const again = () => void this.#fetchOnce().catch(() => undefined)
    this.#timer = unreferenced(setTimeout(again, milliseconds))
  }
}
