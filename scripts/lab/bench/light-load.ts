import { Child } from './child.ts'
import { goodRate, type Replies } from './replies.ts'

/**
 * Where the next request of a connection comes from. A source with a position is returned by each round, and passed to
 * the next one.
 */
export type Source =
  /** The same request again and again. */
  | { readonly kind: 'same'; readonly request: Request }
  /**
   * `GET path` with the tokens of a file in a ring, from a position on: a token is used again only after all others.
   */
  | { readonly kind: 'ring'; readonly path: string; readonly file: string; readonly position: number }
  /** `POST /v1/refresh`: each connection sends the refresh token of its last answer. One token per connection. */
  | { readonly kind: 'refresh'; readonly tokens: readonly string[] }

export interface Request {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

export interface LightOrder {
  readonly origin: string
  readonly source: Source
  readonly connections: number
  readonly seconds: number
  /** Requests per second, evenly spaced. Absent: as many as the server answers. */
  readonly pace?: number
}

export interface LightResult extends Replies {
  readonly seconds: number
  /** For the next round. */
  readonly source: Source
  /** Milliseconds to each answer; empty unless `pace` is given. */
  readonly latencies: readonly number[]
}

/**
 * A load generator that does as little work as possible. It is used where autocannon's own work would distort the
 * figure: when it shares the cores with the server, or when requests differ from each other. It runs in a process of
 * its own, which stays warm from round to round.
 */
export class LightLoad implements AsyncDisposable {
  readonly #child: Child

  constructor(options: { readonly core?: number | undefined; readonly urgent?: boolean } = {}) {
    const args = [
      'scripts/lab/bench/light-worker.ts',
      ...(options.urgent === true ? ['urgent'] : []),
      ...(options.core === undefined ? [] : ['awake']),
    ]
    this.#child = new Child({ args, core: options.core })
  }

  /**
   * Waits for the answer to every request that was sent: the server has nothing left to do after the round.
   *
   * @throws OperatorError when any reply was not good
   */
  async run(order: LightOrder): Promise<LightResult & { readonly rate: number }> {
    const result = (await this.#child.ask(order)) as LightResult
    return { ...result, rate: goodRate(`${order.source.kind} requests`, result, result.seconds) }
  }

  cpuSeconds(): number | undefined {
    return this.#child.cpuSeconds()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child.stop()
  }
}
