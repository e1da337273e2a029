import type { Clock } from '../clock.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { Verdict } from '../tokens/verify.ts'
import type { RevokedIds } from './feed-format.ts'
import { RevocationSet } from './revocation-set.ts'
import type { RevocationStore } from './revocation-store.ts'

/** How often the store is polled: so several processes on one SQLite file learn about each other's revocations. */
const POLL_INTERVAL_MS = 250
const PAGE_SIZE = 10_000
/** How often expired entries are removed from the set. */
const SWEEP_INTERVAL_MS = 30_000

export interface Revocations {
  judge(claims: AccessTokenClaims): Verdict
  /**
   * Resolves when everything that was committed before the call is in the set. Rejects when the store can't be read.
   */
  catchUp(): Promise<void>
  /** Seconds since the set was last known to be complete. */
  age(): number
  readonly size: number
  /** The number (`seq`) of the newest revocation in the set. */
  readonly seq: number
  snapshot(now: number): RevokedIds
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
  /** Milliseconds that only go forward: the age of the set must not depend on a clock that somebody can set. */
  readonly monotonic: () => number
  /** Called once when the store can't be read, and once when it can be read again. */
  readonly report: (event: { readonly lost: unknown } | { readonly found: true }) => void
}

/** The revocation set of this node and the loop that keeps it complete. */
export class FollowedRevocations implements Revocations {
  readonly #set = new RevocationSet()
  readonly #options: FollowOptions
  #seq = 0
  #completeAt: number
  #reading: Promise<void> | undefined
  #next: Promise<void> | undefined
  #lost = false
  #timers: NodeJS.Timeout[] = []
  readonly #listeners = new Set<() => void>()

  constructor(options: FollowOptions) {
    this.#options = options
    this.#completeAt = options.monotonic()
  }

  judge(claims: AccessTokenClaims): Verdict {
    return this.#set.judge(claims)
  }

  get size(): number {
    return this.#set.size
  }

  get seq(): number {
    return this.#seq
  }

  snapshot(now: number): RevokedIds {
    return this.#set.snapshot(Math.min(now, this.#options.now()))
  }

  onLook(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  age(): number {
    return (this.#options.monotonic() - this.#completeAt) / 1000
  }

  /** Starts polling. Await `catchUp` first: a node must not take traffic with an incomplete set. */
  start(): void {
    const look = setInterval(() => this.catchUp().catch(() => undefined), POLL_INTERVAL_MS)
    const sweep = setInterval(() => this.#set.sweep(this.#options.now()), SWEEP_INTERVAL_MS)
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

  #read(): Promise<void> {
    this.#next = undefined
    this.#reading = this.#readOn().finally(() => {
      this.#reading = undefined
      for (const listener of this.#listeners) listener()
    })
    return this.#reading
  }

  async #readOn(): Promise<void> {
    const { store, monotonic, report } = this.#options
    const began = monotonic()
    try {
      let found: number
      do {
        const revocations = await store.after(this.#seq, PAGE_SIZE)
        for (const revocation of revocations) this.#set.add(revocation)
        this.#seq = revocations.at(-1)?.seq ?? this.#seq
        found = revocations.length
      } while (found >= PAGE_SIZE)
    } catch (error) {
      if (!this.#lost) report({ lost: error })
      this.#lost = true
      throw error
    }
    if (this.#lost) report({ found: true })
    this.#lost = false
    this.#completeAt = began
  }
}
