import { setImmediate as turn } from 'node:timers/promises'
import type { Revocation } from './revocation.ts'
import { isHigher, RevocationSet, type SetEntry } from './revocation-set.ts'

/** Entries that are compared before others get a turn of the event loop. */
const SLICE = 5000

/** Compares what a node remembers with the rows of a store that went back, while these are read again. */
export class Lacking {
  #rows = new RevocationSet()
  /** Accounts and clients of which the store had less than was remembered, also in a read that was not finished. */
  readonly #less = new Set<string>()

  /** Before the store is read from its first row on. */
  begin(): void {
    this.#rows = new RevocationSet()
  }

  /**
   * Notes a row, before it is added to the set.
   *
   * @param remembered the entry of the set for the same subject
   */
  note(row: Revocation, remembered: Revocation | undefined): void {
    this.#rows.add(row)
    if (remembered !== undefined && isLess(row, remembered)) this.#less.add(nameOf(row))
  }

  /**
   * When all rows were read: the entries of the set that the store lacks, each subject once.
   *
   * @param now epoch seconds, by which entries expire
   */
  async of(set: RevocationSet, now: number): Promise<SetEntry[]> {
    const found: SetEntry[] = []
    let compared = 0
    for (const entry of set.entries(now)) {
      compared += 1
      if (compared % SLICE === 0) await turn()
      const isThere = this.#rows.find(entry.kind, entry.subject) !== undefined && !this.#less.has(nameOf(entry))
      if (!isThere) found.push(entry)
    }
    this.begin()
    this.#less.clear()
    return found
  }
}

const nameOf = ({ kind, subject }: SetEntry) => `${kind} ${subject}`

/**
 * True when the row does not stand for all that was remembered. An equal version is not enough: the same change may
 * have been made again, and tokens of the lost one have that version too.
 */
function isLess(row: Revocation, remembered: Revocation): boolean {
  if (row.kind === 'session' || row.kind === 'token' || row.minVersion === null) return false
  const isSame =
    row.minVersion === remembered.minVersion && row.seq === remembered.seq && row.expiresAt === remembered.expiresAt
  return !isSame && !isHigher(row.minVersion, remembered.minVersion)
}
