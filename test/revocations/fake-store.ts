import { setImmediate as turn } from 'node:timers/promises'
import type { Revocation } from '../../src/revocations/revocation.ts'
import type { RevocationStore } from '../../src/revocations/revocation-store.ts'
import { good } from '../support/claims.ts'

/** A store in memory, whose answers can be held back, and which can be away. */
export class FakeStore implements RevocationStore {
  readonly committed: Revocation[] = []
  readonly reads: { seq: number; limit: number }[] = []
  away: Error | undefined
  /** What stands between a read and its answer. */
  answer: () => Promise<void> = async () => undefined

  /** Withdraws sessions under one number. */
  commit(...sids: readonly string[]): void {
    const seq = (this.committed.at(-1)?.seq ?? 0) + 1
    for (const subject of sids)
      this.committed.push({ kind: 'session', subject, minVersion: null, seq, expiresAt: good.exp })
  }

  /** As the real one: a page ends with the last entry of its last number. The answer is as old as the question. */
  async after(seq: number, limit: number): Promise<Revocation[]> {
    this.reads.push({ seq, limit })
    const rest = this.committed.filter((one) => one.seq > seq)
    const last = rest.slice(0, limit).at(-1)?.seq ?? seq
    const { away } = this
    await this.answer()
    if (away !== undefined) throw away
    return rest.filter((one) => one.seq <= last)
  }

  async deleteExpired(): Promise<void> {}
}

/** Holds the answers of a store back until they are let through, oldest first. */
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
