import { setImmediate as turn } from 'node:timers/promises'
import { type Clock, type Instant, secondsSince, systemClock } from '../clock.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { RevocationCheck, Verdict } from '../tokens/verify.ts'
import type { RevokedIds } from './feed-format.ts'
import type { FollowEvent } from './follow-event.ts'
import { Lacking } from './lacking.ts'
import { type Comparison, readFromStart, readOn, START } from './place.ts'
import { RecentRevocations } from './recent-revocations.ts'
import type { Revocation } from './revocation.ts'
import { asRefused, RevocationSet, type SetEntry } from './revocation-set.ts'
import type { RevocationStore } from './revocation-store.ts'
import { settlesWithin } from './settles-within.ts'

/** How often the store is polled: so several processes on one SQLite file learn about each other's revocations. */
const POLL_INTERVAL_MS = 250
/**
 * A process that stood still for longer looks at the store before it accepts a token, unless a complete look began more
 * recently. Whether it stood still is found out by `look-first.ts`.
 */
export const LOOK_FIRST_AFTER_SECONDS = 2
/** How long such a look is awaited. */
export const LOOK_TIMEOUT_MS = 1000
/** How often expired entries are removed from the set. */
const SWEEP_INTERVAL_MS = 30_000
/** How many entries are looked at in one turn of the event loop. */
const SWEPT_PER_TURN = 20_000

export interface Revocations extends Pick<RevocationCheck, 'judge' | 'refusalOf'> {
  /**
   * Resolves when everything that was committed before the call is in the set. Rejects when the store can't be read.
   */
  catchUp(): Promise<void>
  /** Seconds since the set was last known to be complete. */
  age(): number
  /**
   * The look to wait for after this process stood still; undefined when the last one is recent, and when the store is
   * known to be away. Ask only after a pause: with a slow store the last look is often not recent. All callers share
   * one look. It resolves after a second at the latest, and never rejects: a store that gave no answer is known to be
   * away from then on.
   */
  lookFirst(): Promise<void> | undefined
  readonly size: number
  /** The number (`seq`) up to which the set holds every revocation. */
  readonly seq: number
  /**
   * Identity of the store's history of numbers: 1 to 64 characters of base64url. Another one says that the store went
   * back. Empty before the first look.
   */
  readonly history: string
  /** How often this node noticed another history. */
  readonly historyChanges: number
  snapshot(now: number): RevokedIds
  /** The same one by one, for who reads it in slices. See `RevocationSet.entries`. */
  entries(now: number): Iterable<SetEntry>
  /** The newest rows, in order. */
  readonly recent: Pick<RecentRevocations, 'floor' | 'since' | 'newest'>
  /**
   * Calls `listener` after every read of the store, successful or not.
   *
   * @returns a function that stops it
   */
  onLook(listener: () => void): () => void
}

export interface FollowOptions {
  readonly store: RevocationStore
  /** The clock by which entries expire: the deletion clock, which a step forward by mistake does not move. */
  readonly now: Clock
  /** Milliseconds that only go forward: a clock that is set back must not make the set younger. */
  readonly monotonic: () => number
  /** The clock of the machine: the other one may stand still while the machine sleeps. Default: the system clock. */
  readonly wall?: Clock
  readonly report: (event: FollowEvent) => void
}

/** The revocation set of this node and the loop that keeps it complete. */
export class FollowedRevocations implements Revocations {
  readonly #set = new RevocationSet()
  readonly recent = new RecentRevocations()
  historyChanges = 0
  readonly #options: FollowOptions
  readonly #lacking = new Lacking()
  #place = START
  #stuck = false
  #completeAt: Instant
  #reading: Promise<void> | undefined
  #next: Promise<void> | undefined
  #lost = false
  /** True after a look that was awaited and got no answer in time, until one does. */
  #silent = false
  #awaited: Promise<void> | undefined
  #timers: NodeJS.Timeout[] = []
  readonly #listeners = new Set<() => void>()

  constructor(options: FollowOptions) {
    this.#options = options
    this.#completeAt = this.#instant()
  }

  judge(claims: AccessTokenClaims): Verdict {
    return this.#set.judge(claims)
  }

  readonly refusalOf = (claims: AccessTokenClaims) => asRefused(this.#set.refusalOn(claims))

  get size(): number {
    return this.#set.size
  }

  get seq(): number {
    return this.#place.seq
  }

  get history(): string {
    return this.#place.store?.history ?? ''
  }

  snapshot(now: number): RevokedIds {
    return this.#set.snapshot(Math.min(now, this.#options.now()))
  }

  entries(now: number): Iterable<SetEntry> {
    return this.#set.entries(Math.min(now, this.#options.now()))
  }

  onLook(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  age(): number {
    return secondsSince(this.#completeAt, this.#instant())
  }

  lookFirst(): Promise<void> | undefined {
    if (this.age() <= LOOK_FIRST_AFTER_SECONDS) return undefined
    if (this.#awaited === undefined) {
      if (this.#lost || this.#silent) return undefined
      this.#awaited = this.#boundedLook().finally(() => {
        this.#awaited = undefined
      })
    }
    return this.#awaited
  }

  /** Starts polling. Await `catchUp` first: a node must not take traffic with an incomplete set. */
  start(): void {
    const look = setInterval(() => this.catchUp().catch(() => undefined), POLL_INTERVAL_MS)
    const sweep = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS)
    this.#timers = [look.unref(), sweep.unref()]
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
  }

  catchUp(): Promise<void> {
    if (this.#reading === undefined) return this.#read()
    // The read in progress may have begun before the change that this caller waits for: only the next read is sure to
    // see it.
    this.#next ??= this.#reading.catch(() => undefined).then(() => this.#read())
    return this.#next
  }

  /** In slices: a million entries take longer than the event loop can spare at a time. */
  async #sweep(): Promise<void> {
    let steps = 0
    for (const _ of this.#set.sweeping(this.#options.now())) {
      steps += 1
      if (steps % SWEPT_PER_TURN === 0) await turn()
    }
  }

  #instant(): Instant {
    const { monotonic, wall = systemClock } = this.#options
    return { monotonic: monotonic(), wall: wall() }
  }

  async #boundedLook(): Promise<void> {
    const isOld = () => this.age() > LOOK_FIRST_AFTER_SECONDS
    const look = async () => {
      await this.#reading?.catch(() => undefined) // it may be one from before the pause
      // Its connection may not have outlived the pause. The next try makes a new one.
      for (let tries = 0; tries < 2 && isOld(); tries += 1) await this.catchUp().catch(() => undefined)
    }
    if (!(await settlesWithin(look(), LOOK_TIMEOUT_MS))) this.#silent = true
  }

  #read(): Promise<void> {
    this.#next = undefined
    this.#reading = this.#readOn().finally(() => {
      this.#reading = undefined
      for (const listener of this.#listeners) listener()
    })
    return this.#reading
  }

  async #readOn(): Promise<void> {
    const { store, report } = this.#options
    const began = this.#instant()
    try {
      const { comparison, history } = await readOn(store, this.#place, (revocations, place) => {
        for (const revocation of revocations) this.#add(revocation)
        this.#place = place
        this.recent.newest = place.store?.newest
      })
      if (comparison !== 'same') await this.#readAgain(comparison, history)
    } catch (error) {
      if (!this.#lost) report({ lost: error })
      this.#lost = true
      throw error
    }
    if (this.#lost) report({ found: true })
    this.#lost = false
    this.#silent = false
    if (!this.#stuck) this.#completeAt = began // else what is published lacks numbers that were given again
  }

  #add(revocation: Revocation): void {
    this.#set.add(revocation)
    this.recent.add(revocation)
  }

  /** The store is not the one that was read before. Everything in it is added to the set, which forgets nothing. */
  async #readAgain(comparison: Comparison, history: string): Promise<void> {
    const { store, report, now } = this.#options
    const known = this.#place
    const begun = comparison === 'went_back' && known.store && store.beginHistory(history, known.store)
    const stuck = await Promise.resolve(begun).then(
      () => undefined,
      (error: unknown) => ({ stuck: error }),
    )
    if (stuck !== undefined && !this.#stuck) report(stuck)
    this.#stuck = stuck !== undefined
    const place = await readFromStart(store, this.#lacking, (revocation) => {
      this.#lacking.note(revocation, this.#set.find(revocation.kind, revocation.subject))
      this.#add(revocation)
    })
    // The place stays as it was: the next look finds the same, and tries again.
    if (this.#stuck || place.store === undefined) return
    this.#place = place
    this.recent.newest = place.store.newest
    const from = known.store?.history ?? ''
    if (place.store.history === from) return
    this.historyChanges += 1
    const lacking = await this.#lacking.of(this.#set, now())
    report({ changed: { from, seq: known.seq, to: place.store.history }, lacking })
  }
}
