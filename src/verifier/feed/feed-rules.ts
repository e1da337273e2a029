import type { ChangesClaims } from '../../revocations/changes-format.ts'
import type { FeedClaims } from '../../revocations/feed-format.ts'
import { revocationExpiry, UNUSED_NUMBERS } from '../../revocations/revocation.ts'

// The rules by which a follower takes what it gets, in the order of src/revocations/README.md. They are pure: what is
// held and a document in, a judgement out.

/** What a follower holds, without the entries. Times are epoch seconds. */
export interface Held {
  /** Undefined: nothing, or a copy of the whole feed, which does not name its history. */
  readonly history: string | undefined
  readonly seq: number
  readonly iat: number
  /** The copy counts as fresh until then. */
  readonly exp: number
  /** What to ask with next; undefined: from the beginning. */
  readonly cursor: string | undefined
  /** Other histories that were followed before, the latest last. */
  readonly left: readonly string[]
}

export const NOTHING: Held = {
  history: undefined,
  seq: -1,
  iat: -1,
  exp: Number.NEGATIVE_INFINITY,
  cursor: undefined,
  left: [],
}

/** A document, or a whole of several pages. */
export type Dated = Pick<ChangesClaims, 'history' | 'seq' | 'iat' | 'exp' | 'cursor'>

/** `replace_and_keep`: what the set knew goes on being refused, beside the new set. */
export type JudgementOnWhole = 'older' | 'replace' | 'replace_and_keep'

/** So many histories are remembered. More only matters when as many stores serve one issuer. */
const MOST_LEFT = 8
/** No entry is kept for longer than this after the longest life of a token, whatever a document says. */
const LONGEST_EXTRA_SECONDS = 86_400

/** Dates of a copy are no measure after the clock was set back. Numbers still are. */
export function measured(held: Held, now: number, skew: number): Held {
  return held.iat > now + skew ? { ...held, iat: NOTHING.iat, exp: NOTHING.exp } : held
}

/** A change is added, unless something is missing between it and what is held. */
export function judgeChange(held: Held, { history, after }: ChangesClaims): 'add' | 'gap' {
  return history === held.history && held.seq >= after ? 'add' : 'gap'
}

/**
 * Within one history the number decides. Numbers of two histories can't be compared: another history is taken, unless
 * it is one that was left and is older by date (the late answer of a server that has not noticed yet).
 */
export function judgeWhole(held: Held, whole: Dated): JudgementOnWhole {
  if (held.history === undefined) return judgeFeed(held, whole)
  if (whole.history === held.history) return whole.seq < held.seq ? 'older' : 'replace'
  return held.left.includes(whole.history) && whole.iat < held.iat ? 'older' : 'replace_and_keep'
}

/**
 * A copy that names no history is older when one of its two measures is lower and the other not higher. Keys are
 * withdrawn without a new number, so an equal copy is taken. One that is newer by date but knows less is of a server
 * that has lost its store: what it lacks is kept. So is what was known before a leap of the numbers, which begins a new
 * history. The server that began it may have known a lower number than this copy, so the leap may be a little shorter.
 */
export function judgeFeed(held: Held, { seq, iat }: Pick<FeedClaims, 'seq' | 'iat'>): JudgementOnWhole {
  if (seq <= held.seq && iat <= held.iat && (seq < held.seq || iat < held.iat)) return 'older'
  const isLeap = held.seq >= 0 && seq - held.seq >= UNUSED_NUMBERS / 2
  return seq < held.seq || isLeap ? 'replace_and_keep' : 'replace'
}

/** What is held after a change was added. */
export function afterChange(held: Held, { seq, iat, exp, cursor }: ChangesClaims): Held {
  return {
    ...held,
    seq: Math.max(held.seq, seq),
    iat: Math.max(held.iat, iat),
    exp: Math.max(held.exp, exp),
    cursor: seq >= held.seq ? cursor : held.cursor,
  }
}

/** What is held after a whole was taken. */
export function afterWhole(held: Held, { history, seq, iat, exp, cursor }: Dated): Held {
  const isSame = history === held.history
  const left = isSame || held.history === undefined ? held.left : [...held.left, held.history]
  return {
    history,
    seq,
    iat: isSame ? Math.max(held.iat, iat) : iat,
    exp: isSame ? Math.max(held.exp, exp) : exp,
    cursor,
    left: [...new Set(left)].filter((one) => one !== history).slice(-MOST_LEFT),
  }
}

/**
 * Until when the entries of a document are kept: as it says, and never so long that memory could grow without bound.
 *
 * @returns epoch seconds
 */
export function keptUntil({ until }: Pick<ChangesClaims, 'until'>, now: number): number {
  return Math.min(until ?? Number.POSITIVE_INFINITY, revocationExpiry(now) + LONGEST_EXTRA_SECONDS)
}
