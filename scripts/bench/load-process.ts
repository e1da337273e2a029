import { once } from 'node:events'
import { OperatorError } from '../../src/errors.ts'
import { Child } from './child.ts'

/** One round of load: the same request again and again from a number of connections. */
export interface LoadOrder {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly connections: number
  readonly seconds: number
  /** The only reply that is right. Left out where replies differ. */
  readonly expectBody?: string
}

export interface LoadResult {
  readonly good: number
  /** Everything that is no good reply, by kind. */
  readonly bad: Readonly<Record<'non2xx' | 'errors' | 'timeouts' | 'mismatches', number>>
  /** Seconds it really took. */
  readonly seconds: number
}

/** The load generator (autocannon) in a process of its own, kept warm from round to round. */
export class LoadProcess implements AsyncDisposable {
  readonly #child: Child

  constructor(core?: number) {
    this.#child = new Child({ args: ['scripts/bench/load-worker.ts'], core })
  }

  /**
   * @returns good replies per second, and the seconds it really took
   * @throws OperatorError when any reply was not: a server that refuses is fast, and its figure means nothing
   */
  async run(order: LoadOrder): Promise<{ rate: number; seconds: number }> {
    this.#child.assertRunning()
    this.#child.process.send(order)
    const ended = new AbortController()
    const result = await Promise.race([
      once(this.#child.process, 'message', { signal: ended.signal }),
      once(this.#child.process, 'exit', { signal: ended.signal }).then(() => Promise.reject(this.#child.failure())),
    ]).finally(() => ended.abort())

    const { good, bad, seconds } = result[0] as LoadResult
    if (good === 0 || Object.values(bad).some((count) => count > 0)) {
      const { pathname } = new URL(order.url)
      throw new OperatorError(`${order.method} ${pathname}: ${good} good replies and ${JSON.stringify(bad)}`)
    }
    return { rate: good / seconds, seconds }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child.stop()
  }
}
