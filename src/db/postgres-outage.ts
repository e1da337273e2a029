import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds before the first look whether the server is back; each later one waits twice as long, up to the last. */
const FIRST_RETRY_MS = 250
const MAX_RETRY_MS = 2000

/**
 * Remembers that the server is away, so that calls are refused at once and don't queue behind a connect timeout.
 * One look at a time finds out when it is back, whether there are calls or not.
 */
export class Outage {
  readonly #look: () => Promise<unknown>
  readonly #ended = new AbortController()
  #reason: string | undefined

  /** @param look resolves when the server answers */
  constructor(look: () => Promise<unknown>) {
    this.#look = look
  }

  /** Why the server is away, or undefined when it isn't. */
  get reason(): string | undefined {
    return this.#reason
  }

  begin(reason: string): void {
    if (this.#reason !== undefined || this.#ended.signal.aborted) return
    this.#reason = reason
    this.#watch().catch(() => undefined) // cut short by end()
  }

  end(): void {
    this.#ended.abort()
  }

  async #watch(): Promise<void> {
    for (let pause = FIRST_RETRY_MS; this.#reason !== undefined; pause = Math.min(pause * 2, MAX_RETRY_MS)) {
      await sleep(pause, undefined, { signal: this.#ended.signal, ref: false })
      await this.#look().then(
        () => {
          this.#reason = undefined
        },
        () => undefined,
      )
    }
  }
}
