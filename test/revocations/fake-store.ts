import { setImmediate as turn } from 'node:timers/promises'
import type { Look } from '../../src/revocations/history-store.ts'
import type { Revocation } from '../../src/revocations/revocation.ts'
import type { RevocationStore } from '../../src/revocations/revocation-store.ts'
import { good } from '../support/claims.ts'

/** A store in memory. A test can delay its answers, make it unavailable, and put back what it was before. */
export class FakeStore implements RevocationStore {
  /** By kind and subject, in the order of their numbers. */
  rows = new Map<string, Revocation>()
  history = 'first'
  head = 0
  /** By number. */
  marks = new Map<number, string>([[0, 'start']])
  readonly reads: { seq: number; limit: number }[] = []
  away: Error | undefined
  /** Why no new history can be begun. */
  readOnly: Error | undefined
  /** Delays the answer to a read. */
  answer: () => Promise<void> = async () => undefined
  #marked = 0

  /** Withdraws sessions under one number. */
  commit(...sids: readonly string[]): void {
    this.write(...sids.map((subject) => ({ kind: 'session' as const, subject, minVersion: null })))
  }

  /** Takes a number for these. As in the real store, a subject has one row. */
  write(...rows: readonly (Pick<Revocation, 'kind' | 'subject' | 'minVersion'> & { expiresAt?: number })[]): void {
    this.head += 1
    this.#mark()
    for (const row of rows) {
      const name = `${row.kind} ${row.subject}`
      this.rows.delete(name)
      this.rows.set(name, { expiresAt: good.exp, ...row, seq: this.head })
    }
  }

  get committed(): Revocation[] {
    return [...this.rows.values()]
  }

  /** @returns a function that puts everything back as it is now */
  backup(): () => void {
    const { rows, history, head, marks } = this
    const kept = [new Map(rows), new Map(marks)] as const
    return () => Object.assign(this, { history, head, rows: new Map(kept[0]), marks: new Map(kept[1]) })
  }

  /** Like the real store: a page never splits the entries of one number, and shows the state when the read began. */
  async look({ after: seq, known = -1, limit }: Parameters<RevocationStore['look']>[0]): Promise<Look> {
    this.reads.push({ seq, limit })
    const rest = this.committed.filter((one) => one.seq > seq)
    const last = rest.slice(0, limit).at(-1)?.seq ?? seq
    const { away, head, history } = this
    const mark = this.marks.get(known)
    const numbers = [...this.marks.keys()]
    const highest = Math.max(...numbers)
    const newest = { seq: highest, mark: this.marks.get(highest) as string }
    await this.answer()
    if (away !== undefined) throw away
    const revocations = rest.filter((one) => one.seq <= last)
    return { history, head, mark, oldest: Math.min(...numbers), newest, revocations }
  }

  async beginHistory(history: string, { head, newest }: Parameters<RevocationStore['beginHistory']>[1]): Promise<void> {
    if (this.readOnly !== undefined) throw this.readOnly
    const isBehind = this.head < head || (newest !== undefined && this.marks.get(newest.seq) !== newest.mark)
    if (history !== this.history || !isBehind) return
    this.head = Math.max(this.head, head) + 1_000_000
    this.#mark()
    this.history = `after ${this.marks.get(this.head)}`
  }

  async deleteExpired(): Promise<void> {}

  async noteTime(): Promise<void> {}

  #mark(): void {
    this.#marked += 1
    this.marks.set(this.head, `mark ${this.#marked}`)
  }
}

/** Delays the answers of a store until the test releases them, oldest first. */
export function holdBack(store: FakeStore): { readonly waiting: number; letThrough(): Promise<void> } {
  const held: (() => void)[] = []
  store.answer = () => new Promise((resolve) => held.push(resolve))
  return {
    get waiting() {
      return held.length
    },
    async letThrough() {
      held.shift()?.()
      await turn()
    },
  }
}
