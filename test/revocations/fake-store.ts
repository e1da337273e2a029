import { setImmediate as turn } from 'node:timers/promises'
import type { Look } from '../../src/revocations/history-store.ts'
import type { Revocation } from '../../src/revocations/revocation.ts'
import type { RevocationStore } from '../../src/revocations/revocation-store.ts'
import { good } from '../support/claims.ts'

/** A store in memory. A test can delay its answers, and make it unavailable. */
export class FakeStore implements RevocationStore {
  readonly committed: Revocation[] = []
  readonly reads: { seq: number; limit: number }[] = []
  away: Error | undefined
  /** Delays the answer to a read. */
  answer: () => Promise<void> = async () => undefined

  /** Withdraws sessions under one number. */
  commit(...sids: readonly string[]): void {
    const seq = (this.committed.at(-1)?.seq ?? 0) + 1
    for (const subject of sids)
      this.committed.push({ kind: 'session', subject, minVersion: null, seq, expiresAt: good.exp })
  }

  /** Like the real store: a page never splits the entries of one number, and shows the state when the read began. */
  async look({ after: seq, limit }: { after: number; limit: number }): Promise<Look> {
    this.reads.push({ seq, limit })
    const rest = this.committed.filter((one) => one.seq > seq)
    const last = rest.slice(0, limit).at(-1)?.seq ?? seq
    const { away } = this
    const head = this.committed.at(-1)?.seq ?? 0
    await this.answer()
    if (away !== undefined) throw away
    const revocations = rest.filter((one) => one.seq <= last)
    return { history: 'fake', head, mark: undefined, oldest: undefined, newest: undefined, revocations }
  }

  async deleteExpired(): Promise<void> {}

  async noteTime(): Promise<void> {}
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
