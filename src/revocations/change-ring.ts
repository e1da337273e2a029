import type { Revocation } from './revocation.ts'
import type { Signing } from './sign-changes.ts'

/** Everything that was revoked after one number, up to and including another. It is signed once, when it is needed. */
export interface Piece {
  readonly after: number
  readonly seq: number
  /** Everything revoked before this instant (epoch seconds) is in this piece or in those before it. 0 = unknown. */
  readonly iat: number
  readonly rows: readonly Revocation[]
  signing?: Signing | undefined
}

const MAX_PIECES = 256
const MAX_ROWS = 8192
/** After a boot the newest rows are cut into pieces that are not longer than this. */
const ROWS_OF_BOOT_PIECE = 64

/**
 * The changes of the last while, in pieces as they were released. A follower that has everything up to some number
 * gets the pieces after it: the first of them may overlap with what it has.
 */
export class ChangeRing {
  #pieces: Piece[] = []
  #rows = 0
  #floor = 0
  #head = 0

  /** The number of the newest revocation in the pieces. */
  get head(): number {
    return this.#head
  }

  /** Forgets every piece: nobody can be served from here who has less than `seq`. */
  reset(seq: number): void {
    this.#pieces = []
    this.#rows = 0
    this.#floor = seq
    this.#head = seq
  }

  /**
   * Begins with rows from before this process was there. When they were revoked is not known, so only the last piece
   * says up to when nothing is missing.
   *
   * @param floor the rows are everything after this number ...
   * @param seq ... up to this one
   */
  begin(rows: readonly Revocation[], { floor, seq, iat }: { floor: number; seq: number; iat: number }): void {
    this.reset(floor)
    for (const part of partsOf(rows)) {
      const last = part.at(-1) as Revocation
      const isLast = last === rows.at(-1)
      this.push(part, isLast ? { seq, iat } : { seq: last.seq, iat: 0 })
    }
    if (this.#head < seq) this.push([], { seq, iat })
  }

  /** Adds what was revoked since the last piece, up to `seq`. Drops the oldest pieces when there are too many. */
  push(rows: readonly Revocation[], { seq, iat }: { seq: number; iat: number }): void {
    if (rows.length > MAX_ROWS) {
      this.reset(seq)
      return
    }
    this.#pieces.push({ after: this.#head, seq, iat, rows })
    this.#rows += rows.length
    this.#head = seq
    while (this.#pieces.length > MAX_PIECES || this.#rows > MAX_ROWS) {
      const dropped = this.#pieces.shift() as Piece
      this.#rows -= dropped.rows.length
      this.#floor = dropped.seq
    }
  }

  /** The pieces for a follower that has everything up to `seq`; undefined when it has too little. */
  after(seq: number): readonly Piece[] | undefined {
    if (seq < this.#floor) return undefined
    let first = this.#pieces.length
    while (first > 0 && (this.#pieces[first - 1] as Piece).seq > seq) first -= 1
    return this.#pieces.slice(first)
  }
}

/** Short runs of rows. The rows of one number stay together: a piece has all of them or none. */
function partsOf(rows: readonly Revocation[]): Revocation[][] {
  const parts: Revocation[][] = []
  for (const row of rows) {
    const part = parts.at(-1)
    if (part === undefined || (part.length >= ROWS_OF_BOOT_PIECE && part.at(-1)?.seq !== row.seq)) parts.push([row])
    else part.push(row)
  }
  return parts
}
