import { setTimeout as sleep } from 'node:timers/promises'
import { createBackoff } from './backoff.ts'

/**
 * Remembers that the server is down, so that calls are refused at once and don't wait for a connect timeout. While it
 * is down, one probe at a time finds out when it is back, whether there are calls or not.
 */
export class Outage {
  readonly #look: () => Promise<unknown>
  readonly #describe: (error: unknown) => string
  readonly #ended = new AbortController()
  #reason: string | undefined

  /**
   * @param look resolves when the server answers
   * @param describe the reason, of an error of `look`
   */
  constructor(look: () => Promise<unknown>, describe: (error: unknown) => string) {
    this.#look = look
    this.#describe = describe
  }

  /** Why the server is down, in the words of the newest probe, or undefined when it isn't. */
  get reason(): string | undefined {
    return this.#reason
  }

  begin(reason: string): void {
    if (this.#reason !== undefined || this.#ended.signal.aborted) return
    this.#reason = reason
    this.#watch().catch(() => undefined) // rejects when end() aborts the wait
  }

  end(): void {
    this.#ended.abort()
  }

  async #watch(): Promise<void> {
    const backoff = createBackoff()
    while (this.#reason !== undefined) {
      await sleep(backoff.next(), undefined, { signal: this.#ended.signal, ref: false })
      await this.#look().then(
        () => {
          this.#reason = undefined
        },
        (error) => {
          this.#reason = this.#describe(error)
        },
      )
    }
  }
}
