import type { Marked } from './history-store.ts'
import type { Revocation } from './revocation.ts'

/** How many of the newest rows are kept at least. */
export const MAX_RECENT = 8192

/**
 * The newest revocations in the order of their numbers, as they were read from the store. The set in memory does not
 * know in which order its entries came; whoever publishes changes asks here.
 */
export class RecentRevocations {
  /** The highest number with a mark, as of the last look. */
  newest: Marked | undefined
  #rows: Revocation[] = []
  /** Everything after this number is here. */
  #floor = 0

  /** Rows arrive in the order of `seq`. A lower number says that the store went back: what was before is dropped. */
  add(row: Revocation): void {
    const last = this.#rows.at(-1)
    if (last !== undefined && row.seq < last.seq) {
      this.#rows = []
      this.#floor = row.seq - 1
    }
    this.#rows.push(row)
    if (this.#rows.length < 2 * MAX_RECENT) return
    this.#floor = this.#rows.at(-MAX_RECENT - 1)?.seq ?? 0
    this.#rows = this.#rows.slice(-MAX_RECENT)
  }

  /** The number from which on every revocation is known here. */
  get floor(): number {
    return this.#floor
  }

  /** Every revocation after the number, in order; undefined when some of them are not kept any more. */
  since(seq: number): readonly Revocation[] | undefined {
    if (seq < this.#floor) return undefined
    let first = this.#rows.length
    while (first > 0 && (this.#rows[first - 1] as Revocation).seq > seq) first -= 1
    return this.#rows.slice(first)
  }
}
