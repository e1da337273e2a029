import { createHash } from 'node:crypto'

/** Up to where a follower has everything. */
export interface Cursor {
  /** A digest of the history of numbers that `seq` belongs to. */
  readonly history: string
  /** The number of the newest revocation that the follower has. */
  readonly seq: number
  /** A digest of the revoked keys that the follower knows. */
  readonly keys: string
  /** A digest of the mark of `seq`, and a proof that a server wrote it (`cursor-witness.ts`); empty without. */
  readonly tag: string
  /**
   * Renewals since the last change, modulo {@link RENEWALS}. Whoever got nothing new asks with another text: a cache
   * still has the answer to the one before.
   */
  readonly renewals: number
}

/** So many long polls take longer than any cache keeps an answer. One digit. */
const RENEWALS = 10

/** 48 bits: who meets another history by chance gets changes that it can't use, and sees that by their `history`. */
const DIGEST_CHARACTERS = 8
/** 36 bits: a number that was given again has another mark. */
export const MARK_CHARACTERS = 6
/** 60 bits. Whoever guesses one makes all followers read everything once. */
export const PROOF_CHARACTERS = 10
const FORM = /^([A-Za-z0-9_-]{8})\.(0|[1-9][0-9]{0,15})\.([A-Za-z0-9_-]{8})([A-Za-z0-9_-]{16})?(?:\.([1-9]))?$/

/** A short text for something that is only compared. Equal on every node. */
export function shortDigest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, DIGEST_CHARACTERS)
}

/** The text of a cursor, as `CURSOR_PATTERN` asks. Nodes with the same state give the same text. */
export function writeCursor({ history, seq, keys, tag, renewals }: Cursor): string {
  return `${history}.${seq}.${keys}${tag}${renewals > 0 ? `.${renewals}` : ''}`
}

/** How many renewals who asked with this cursor has after one more. */
export function oneMoreRenewal({ renewals }: Cursor): number {
  return (renewals + 1) % RENEWALS
}

/** Reads what a follower asks with. Undefined for `0` and for whatever we did not write: it gets the whole. */
export function readCursor(text: string): Cursor | undefined {
  const [, history, digits, keys, tag = '', renewals = '0'] = FORM.exec(text) ?? []
  const seq = Number(digits)
  if (history === undefined || keys === undefined || !Number.isSafeInteger(seq)) return undefined
  return { history, seq, keys, tag, renewals: Number(renewals) }
}
