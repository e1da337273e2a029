import type { Refusal } from '../../errors/refusals.ts'
import type { ChangesClaims } from '../../revocations/changes-format.ts'
import type { FeedClaims } from '../../revocations/feed-format.ts'
import { revocationExpiry } from '../../revocations/revocation.ts'
import { asRefused } from '../../revocations/revocation-set.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { Verdict } from '../../tokens/verify.ts'
import { FeedRefused } from './feed-refused.ts'
import {
  afterChange,
  afterWhole,
  type Dated,
  type Held,
  type JudgementOnWhole,
  judgeChange,
  judgeFeed,
  judgeWhole,
  keptUntil,
  measured,
  NOTHING,
} from './feed-rules.ts'
import { FollowedSet } from './followed-set.ts'

/** What became of a document. `page`: a whole is not complete yet. `gap`: the rest is of no use, ask from anew. */
export type Outcome = 'applied' | 'ignored' | 'page' | 'gap'

/** A set of a history that was left: what it refused stays refused. */
interface Kept {
  readonly set: FollowedSet
  /** Epoch seconds: nothing of it is kept for longer. */
  readonly until: number
}

/**
 * The copy that a follower holds of everything that is revoked. It takes documents whose signature, issuer and dates
 * were checked, in the order in which they come, and neither asks nor waits: the same documents at the same times make
 * the same copy.
 */
export class FeedCopy {
  readonly #skew: number
  #held: Held
  #set: FollowedSet
  #kept: readonly Kept[]
  #historyChanges = 0

  /** @param skew seconds that two clocks may differ */
  constructor(skew: number, held: Held = NOTHING, set = new FollowedSet(), kept: readonly FollowedSet[] = []) {
    this.#skew = skew
    this.#held = held
    this.#set = set
    this.#kept = kept.map((set) => ({ set, until: Number.POSITIVE_INFINITY }))
  }

  judge(claims: AccessTokenClaims): Verdict {
    const verdict = this.#set.judge(claims)
    if (this.#kept.length === 0 || verdict === 'revoked') return verdict
    const others = this.#kept.map(({ set }) => set.judge(claims))
    return others.includes('revoked') ? 'revoked' : others.includes('stale') ? 'stale' : verdict
  }

  /** What refuses a token that `judge` does not call good: what a refresh can't mend goes first, as there. */
  refusalOf(claims: AccessTokenClaims): Refusal {
    const found = [this.#set, ...this.#kept.map(({ set }) => set)].map((set) => set.refusalOn(claims))
    const refusals = found.filter((one) => one !== undefined)
    return asRefused(refusals.find((one) => one !== 'stale_version') ?? refusals[0])
  }

  /** Whether the issuer has to be asked before this copy can be called current. */
  isStale(now: number): boolean {
    return now >= measured(this.#held, now, this.#skew).exp + this.#skew
  }

  get held(): Held {
    return this.#held
  }

  get size(): number {
    return this.#kept.reduce((sum, { set }) => sum + set.size, this.#set.size)
  }

  /** How often another history took the place of the one before. */
  get historyChanges(): number {
    return this.#historyChanges
  }

  /** The sets, for tests: the current one, and those of the histories that were left. */
  get sets(): { readonly current: FollowedSet; readonly kept: readonly FollowedSet[] } {
    return { current: this.#set, kept: this.#kept.map(({ set }) => set) }
  }

  /** The next question is for everything: the cursor led nowhere. */
  startAnew(): void {
    this.#held = { ...this.#held, cursor: undefined }
  }

  /** Takes the documents of one answer, with `take` and then `end`. Several answers may be under way at once. */
  answer(): ChangesAnswer {
    return new ChangesAnswer(this)
  }

  /** Adds a change, unless something is missing before it. */
  change(document: ChangesClaims, now: number): 'applied' | 'gap' {
    const held = measured(this.#held, now, this.#skew)
    if (judgeChange(held, document) === 'gap') {
      this.startAnew()
      return 'gap'
    }
    this.#set.add(document, document.seq, keptUntil(document, now))
    this.#held = afterChange(held, document)
    return 'applied'
  }

  isOlder(whole: Dated, now: number): boolean {
    return judgeWhole(measured(this.#held, now, this.#skew), whole) === 'older'
  }

  /** Takes a whole, unless it is older. @param set its entries */
  replace(whole: Dated, set: FollowedSet, now: number): 'applied' | 'ignored' {
    const held = measured(this.#held, now, this.#skew)
    const judgement = judgeWhole(held, whole)
    if (judgement === 'older') return 'ignored'
    this.#put(judgement, set, now)
    this.#held = afterWhole(held, whole)
    return 'applied'
  }

  /** Takes a copy of the whole feed, the one that names no history, unless it is older. */
  feed(claims: FeedClaims, now: number): 'applied' | 'ignored' {
    const { history, ...held } = measured(this.#held, now, this.#skew)
    const judgement = judgeFeed({ ...held, history: undefined }, claims)
    if (judgement === 'older') return 'ignored'
    const set = new FollowedSet()
    set.add(claims, claims.seq, Number.POSITIVE_INFINITY) // the next copy leaves out what is over
    this.#put(judgement, set, now)
    const { seq, iat, exp } = claims
    this.#held = { history: undefined, seq, iat, exp, cursor: undefined, left: held.left }
    return 'applied'
  }

  /**
   * Forgets what is over, in slices: yields after each.
   *
   * @param now epoch seconds of the deletion clock
   */
  *tidy(now: number): Generator<void> {
    this.#kept = this.#kept.filter(({ until, set }) => until > now && set.size > 0)
    for (const set of [this.#set, ...this.#kept.map(({ set }) => set)]) yield* set.forget(now)
    while (this.#kept.length > 1) {
      const [oldest, next] = this.#kept as readonly [Kept, Kept]
      const set = new FollowedSet()
      yield* set.keep(oldest.set, oldest.until)
      yield* set.keep(next.set, next.until)
      this.#kept = [{ set, until: Number.POSITIVE_INFINITY }, ...this.#kept.slice(2)]
    }
  }

  #put(judgement: JudgementOnWhole, set: FollowedSet, now: number): void {
    if (judgement === 'replace_and_keep') {
      this.#historyChanges += 1
      // Entries of the whole feed have no end of their own.
      const until = this.#held.history === undefined ? revocationExpiry(now) : Number.POSITIVE_INFINITY
      this.#kept = [...this.#kept, { set: this.#set, until }]
    }
    this.#set = set
  }
}

/** A whole of which some pages have come. */
interface Whole extends Dated {
  readonly page: number
  readonly pages: number
  /** Which one it is. */
  readonly whole: string
  /** Undefined: it is older than the copy and will not be taken, so its entries need no room. */
  readonly set: FollowedSet | undefined
}

/** The documents of one answer: a whole in pages and then changes, or only changes. */
export class ChangesAnswer {
  readonly #copy: FeedCopy
  /** While pages are missing. */
  #whole: Whole | undefined
  #last: ChangesClaims | undefined

  constructor(copy: FeedCopy) {
    this.#copy = copy
  }

  /**
   * @returns what became of it; after `gap` nothing more of the answer is of use
   * @throws FeedRefused `page`, `claims`; the rest of the answer is not to be taken then
   */
  take(document: ChangesClaims, now: number): Outcome {
    const { page, pages, whole, after, seq } = document
    const isFirst = this.#last === undefined
    this.#last = document
    if (seq < after) throw new FeedRefused('claims', 'a document whose numbers run backward')
    if (page === undefined && pages === undefined && whole === undefined) {
      if (this.#whole !== undefined) throw new FeedRefused('page', 'a whole of which pages are missing')
      return this.#copy.change(document, now)
    }
    if (page === undefined || pages === undefined || whole === undefined || after !== 0)
      throw new FeedRefused('claims', 'a page that is not of a whole')
    if (!isFirst && this.#whole === undefined) throw new FeedRefused('page', 'a whole that is not at the beginning')
    return this.#takePage(document, { page, pages, whole }, now)
  }

  /**
   * @param now epoch seconds
   * @param skew seconds that two clocks may differ
   * @throws FeedRefused `cut`, `stale`; what was applied stays
   */
  end(now: number, skew: number): void {
    if (this.#last === undefined) throw new FeedRefused('cut', 'an answer without a document')
    if (this.#whole !== undefined) throw new FeedRefused('cut', 'a whole of which pages are missing')
    if (this.#last.exp <= now - skew) throw new FeedRefused('stale', 'not fresh')
  }

  #takePage(document: ChangesClaims, place: Pick<Whole, 'page' | 'pages' | 'whole'>, now: number): Outcome {
    const { history, seq, cursor } = document
    const { page, pages } = place
    const before = this.#whole
    if (page !== (before?.page ?? 0) + 1 || page > pages)
      throw new FeedRefused('page', 'a whole whose pages are not in order')
    const isSame = (other: Whole) =>
      other.history === history && other.seq === seq && other.pages === pages && other.whole === place.whole
    if (before !== undefined && !isSame(before)) throw new FeedRefused('page', 'pages of two wholes')
    const iat = Math.min(document.iat, before?.iat ?? document.iat)
    const exp = Math.min(document.exp, before?.exp ?? document.exp)
    const isOlder = before === undefined ? this.#copy.isOlder(document, now) : before.set === undefined
    const set = isOlder ? undefined : (before?.set ?? new FollowedSet())
    set?.add(document, seq, keptUntil(document, now))
    const whole = { history, seq, iat, exp, cursor, ...place, set }
    this.#whole = page < pages ? whole : undefined
    if (page < pages) return 'page'
    return set === undefined ? 'ignored' : this.#copy.replace(whole, set, now)
  }
}
