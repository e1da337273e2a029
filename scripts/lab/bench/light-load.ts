import { Child } from './child.ts'
import { goodRate, type Replies } from './replies.ts'

/** What a connection asks for next. Sources with a position are handed back by each round and go into the next one. */
export type Source =
  /** The same request again and again. */
  | { readonly kind: 'same'; readonly request: Request }
  /** `GET path` with the tokens of a file in a ring, from a position on: each comes again only after all the others. */
  | { readonly kind: 'ring'; readonly path: string; readonly file: string; readonly position: number }
  /** `POST /v1/refresh`: each connection sends the refresh token that its last answer brought. One token per connection. */
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
  /** Requests per second, at even distances. Left out: as many as the server answers. */
  readonly pace?: number
}

export interface LightResult extends Replies {
  readonly seconds: number
  /** For the next round. */
  readonly source: Source
  /** Milliseconds to the answer; only where requests come at a pace. */
  readonly latencies: readonly number[]
}

/**
 * A load generator that does as little as it can, where autocannon's own work would be part of the figure: because it shares the
 * cores with the server, or because requests differ from each other. In a process of its own, kept warm from round to round.
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
   * Every request that was sent is also answered: nothing is left to the server to finish after the round.
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
