import { monotonicClock } from '../../clock.ts'
import { unreferenced } from '../../timers.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { WatchRules } from './watch-rules.ts'

/**
 * From one look at the clocks to the next, while somebody is watched. A timer for the next expiry would be late: it
 * stands still while the machine sleeps, and nobody tells it when the clock is set.
 */
const BEAT_MS = 1000
/** Work of one turn of the event loop: a few milliseconds. To judge a token is 1. */
const WORK_PER_TURN = 4000
/** To tell an owner, who then closes a connection. */
const WORK_OF_TELLING = 80
const AT_ONCE = Number.NEGATIVE_INFINITY

/** Runs `work` once, after `ms` milliseconds. @returns a function that takes that back */
export type After = (work: () => void, ms: number) => () => void

interface Owner<Over> {
  readonly onOver: (over: Over) => unknown
}

/** A token, with everybody who was let in with it. */
interface Watched<Over> {
  readonly claims: AccessTokenClaims
  readonly kid: string
  readonly owners: Set<Owner<Over>>
  isGone: boolean
}

interface ToJudge<Over> {
  readonly tokens: Iterator<Watched<Over>>
  /** The issuer was asked. */
  readonly isSure: boolean
}

/**
 * Watches tokens for those who hold a connection open with them, and tells each owner once when the token is over. All
 * share one timer, which is set only while somebody is watched. Thousands are judged and told in slices, so others have
 * their turn.
 */
export class Watch<Over> {
  readonly #rules: WatchRules<Over>
  readonly #after: After
  readonly #monotonic: () => number
  readonly #watched = new Map<AccessTokenClaims, Watched<Over>>()
  readonly #byExp = new Map<number, Set<Watched<Over>>>()
  /** Who has to be told. */
  readonly #owed = new Map<Owner<Over>, Over>()
  /** It goes on in the next turn: to look for the first one each time takes long in a Map of which most is deleted. */
  #telling: Iterator<[Owner<Over>, Over]> | undefined
  #toJudge: ToJudge<Over>[] = []
  /** All tokens have to be judged, and that has not begun. */
  #isWalkDue = false
  /** What waits for the look that is under way. */
  #unsure = new Set<Watched<Over>>()
  #isLooking = false
  /** The last turn was cut short. */
  #hasFailed = false
  #isClosed = false
  /** Milliseconds of the monotonic clock, as `#timerAt`. */
  #beatAt = 0
  #timerAt: number | undefined
  #stopTimer: (() => void) | undefined

  /** @param monotonic milliseconds that only go forward */
  constructor(rules: WatchRules<Over>, after: After = afterTimeout, monotonic = monotonicClock) {
    this.#rules = rules
    this.#after = after
    this.#monotonic = monotonic
  }

  /**
   * Tells `onOver` once when the token is over, within about a second. For a token that is over already that happens
   * soon, and not before this function has returned.
   *
   * @param kid of the key that signed the token
   * @returns a function that stops watching: from then on `onOver` is not called. It may be called twice
   * @throws TypeError after `close`
   */
  add(claims: AccessTokenClaims, kid: string, onOver: (over: Over) => unknown): () => void {
    if (this.#isClosed) throw new TypeError('watch: the verifier is closed, and nobody would be told')
    const owner = { onOver }
    const known = this.#watched.get(claims)
    const over = known === undefined ? this.#rules.judge(claims, kid) : undefined
    const watched = known ?? this.#begin(claims, kid)
    watched.owners.add(owner)
    if (over !== undefined) this.#found(watched, over, false)
    this.#setTimer()
    return () => {
      this.#owed.delete(owner)
      watched.owners.delete(owner)
      if (watched.owners.size === 0) this.#forget(watched)
      this.#setTimer()
    }
  }

  /** To be called when more is revoked, or the keys are others: all tokens are judged again. */
  changed(): void {
    if (this.#watched.size > 0) this.#isWalkDue = true
    this.#setTimer()
  }

  /** Forgets everybody. Nobody is told any more. */
  close(): void {
    this.#isClosed = true
    for (const all of [this.#watched, this.#byExp, this.#owed, this.#unsure]) all.clear()
    this.#dropWork()
    this.#setTimer()
  }

  #begin(claims: AccessTokenClaims, kid: string): Watched<Over> {
    const watched = { claims, kid, owners: new Set<Owner<Over>>(), isGone: false }
    this.#watched.set(claims, watched)
    const others = this.#byExp.get(claims.exp)
    if (others === undefined) this.#byExp.set(claims.exp, new Set([watched]))
    else others.add(watched)
    return watched
  }

  #forget(watched: Watched<Over>): void {
    if (watched.isGone) return
    watched.isGone = true
    const { claims } = watched
    this.#watched.delete(claims)
    const others = this.#byExp.get(claims.exp)
    others?.delete(watched)
    if (others?.size === 0) this.#byExp.delete(claims.exp)
  }

  #setTimer(): void {
    const at = this.#hasWork() ? AT_ONCE : this.#watched.size > 0 ? this.#beatAt : undefined
    if (at === this.#timerAt) return
    this.#stopTimer?.()
    this.#timerAt = at
    this.#stopTimer =
      at === undefined ? undefined : this.#after(() => this.#turn(), Math.max(0, at - this.#monotonic()))
  }

  #hasWork(): boolean {
    return this.#owed.size > 0 || this.#toJudge.length > 0 || this.#isWalkDue
  }

  #dropWork(): void {
    this.#toJudge = []
    this.#isWalkDue = false
  }

  #turn(): void {
    this.#timerAt = undefined
    try {
      if (this.#monotonic() >= this.#beatAt) this.#beat()
      for (let work = 0; work < WORK_PER_TURN && this.#hasWork(); ) work += this.#step()
    } catch {
      // A clock that throws, which the next token reports. Once it goes again, nobody may have been left out.
      this.#hasFailed = true
      this.#dropWork()
    }
    this.#setTimer()
  }

  /** Finds what is over by time alone. */
  #beat(): void {
    this.#beatAt = this.#monotonic() + BEAT_MS
    const { now, skew } = this.#rules
    const deadline = now() - skew
    for (const [exp, tokens] of this.#byExp)
      if (!(exp > deadline)) this.#toJudge.push({ tokens: tokens.values(), isSure: false })
    if (this.#rules.beat() || this.#hasFailed) this.#isWalkDue = true
    this.#hasFailed = false
  }

  /** @returns how much work it was */
  #step(): number {
    if (this.#owed.size > 0) return this.#tellNext()
    const [first] = this.#toJudge
    if (first === undefined) {
      this.#isWalkDue = false
      this.#toJudge.push({ tokens: this.#watched.values(), isSure: false })
      return 1
    }
    const { value: watched, done } = first.tokens.next()
    if (done === true) this.#toJudge.shift()
    else if (!watched.isGone) {
      const over = this.#rules.judge(watched.claims, watched.kid)
      if (over !== undefined) this.#found(watched, over, first.isSure)
    }
    return 1
  }

  #tellNext(): number {
    this.#telling ??= this.#owed.entries()
    const { value, done } = this.#telling.next()
    if (done === true) {
      this.#telling = undefined
      return 1
    }
    const [owner, over] = value
    this.#owed.delete(owner)
    try {
      // A function that is `async` may fail later.
      Promise.resolve(owner.onOver(over)).catch((error) => this.#rules.onError(error))
    } catch (error) {
      this.#rules.onError(error)
    }
    return WORK_OF_TELLING
  }

  #found(watched: Watched<Over>, over: Over, isSure: boolean): void {
    if (!isSure && this.#rules.isUnsure(over)) {
      this.#unsure.add(watched)
      if (!this.#isLooking) void this.#look(over)
      return
    }
    this.#forget(watched)
    for (const owner of watched.owners) this.#owed.set(owner, over)
  }

  async #look(over: Over): Promise<void> {
    this.#isLooking = true
    try {
      await this.#rules.look(over)
    } catch {} // the rules know what it means for a token
    this.#isLooking = false
    if (this.#unsure.size > 0) this.#toJudge.push({ tokens: this.#unsure.values(), isSure: true })
    this.#unsure = new Set()
    this.#setTimer()
  }
}

function afterTimeout(work: () => void, ms: number): () => void {
  const timer = unreferenced(setTimeout(work, ms))
  return () => clearTimeout(timer)
}
