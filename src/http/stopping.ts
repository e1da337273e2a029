import type { StopSignal } from '../timers.ts'

/**
 * An AbortController for something that lives as long as the process. It is a plain object, because Cloudflare's
 * workerd allows no AbortController outside of a request, and lets no request touch the one of another.
 */
export class Stopping {
  readonly #listeners = new Set<() => void>()
  #reason: Error | undefined

  readonly signal: StopSignal

  constructor() {
    const reason = () => this.#reason
    this.signal = {
      get aborted() {
        return reason() !== undefined
      },
      get reason() {
        return reason()
      },
      throwIfAborted() {
        if (reason() !== undefined) throw reason()
      },
      addEventListener: (_type, listener) => void this.#listeners.add(listener),
      removeEventListener: (_type, listener) => void this.#listeners.delete(listener),
    }
  }

  /** The second time it does nothing. */
  abort(): void {
    this.#reason ??= new DOMException('This operation was aborted', 'AbortError')
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener()
  }
}
