/**
 * Why an answer of the feed, or the rest of one, is not taken. The test vectors name these too.
 * - `header`, `key`, `signature`, `claims`, `issuer`, `dates`: a document, in the order of the checks
 * - `page`: a whole whose pages do not follow each other
 * - `cut`: the answer ends within a line or within a whole, or is empty
 * - `size`: a line or the answer is too long, or too much of it brings nothing
 * - `stale`: the last document is over
 */
export type RefusedFor =
  | 'header'
  | 'key'
  | 'signature'
  | 'claims'
  | 'issuer'
  | 'dates'
  | 'page'
  | 'cut'
  | 'size'
  | 'stale'

/** An answer of the feed that is not taken, or not to its end. */
export class FeedRefused extends Error {
  readonly why: RefusedFor

  constructor(why: RefusedFor, message: string) {
    super(message)
    this.why = why
  }
}
