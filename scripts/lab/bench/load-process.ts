import { Child } from './child.ts'
import { goodRate, type Replies } from './replies.ts'

/** One round of load: the same request again and again from a number of connections. */
export interface LoadOrder {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly connections: number
  readonly seconds: number
  /** The only correct reply. Absent where replies differ. */
  readonly expectBody?: string
}

export interface LoadResult extends Replies {
  /** Seconds that the round really took. */
  readonly seconds: number
}

/** The load generator (autocannon) in a process of its own, which stays warm from round to round. */
export class LoadProcess implements AsyncDisposable {
  readonly #child: Child

  constructor(core?: number) {
    this.#child = new Child({ args: ['scripts/lab/bench/load-worker.ts'], core })
  }

  /**
   * @returns good replies per second, and the seconds that the round really took
   * @throws OperatorError when any reply was not good
   */
  async run(order: LoadOrder): Promise<{ rate: number; seconds: number }> {
    const result = (await this.#child.ask(order)) as LoadResult
    const what = `${order.method} ${new URL(order.url).pathname}`
    return { rate: goodRate(what, result, result.seconds), seconds: result.seconds }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child.stop()
  }
}
