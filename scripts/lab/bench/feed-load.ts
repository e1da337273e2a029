import { Child } from './child.ts'

/** Opens followers of the change stream, or asks what they got since the last such question. */
export type FeedOrder =
  | { readonly origin: string; readonly open: number; readonly addresses: number }
  | { readonly report: true }

export interface FeedRound {
  /** What came over the wire, with headers. */
  readonly bytes: number
  readonly answers: number
  /** When the followers had everything up to a number: epoch milliseconds, one for each answer that ended there. */
  readonly seen: readonly { readonly seq: number; readonly at: readonly number[] }[]
}

/** Followers of the change stream, with a connection each, in a process of their own. */
export class FeedLoad implements AsyncDisposable {
  readonly #child: Child

  constructor(core?: number) {
    this.#child = new Child({ args: ['scripts/lab/bench/feed-worker.ts'], core })
  }

  /** Resolves when each has its first answer. They spread over that many addresses of this machine. */
  async open(origin: string, count: number, addresses = 100): Promise<void> {
    await this.#child.ask({ origin, open: count, addresses })
  }

  /** What came since the last report. */
  async report(): Promise<FeedRound> {
    return (await this.#child.ask({ report: true })) as FeedRound
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child.stop()
  }
}
