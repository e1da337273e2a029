import { failure } from '../../http/bounded-fetch.ts'
import { pause, type StopSignal } from '../../timers.ts'
import type { Resolved } from '../options.ts'
import { SharedLook } from './shared-look.ts'
import { type Origin, storeName } from './stored-text.ts'
import { type BoundedStore, StoreFailed } from './verifier-store.ts'

/** One text of the store, of keys or of the feed, and the note of who looks for a newer one. */
export class StoreEntry {
  readonly origin: Origin
  readonly shared: SharedLook
  readonly #store: BoundedStore
  readonly #name: string
  readonly #onEvent: Resolved['onEvent']

  /** @param monotonic milliseconds that only go forward */
  constructor(
    store: BoundedStore,
    kind: 'keys' | 'feed',
    uri: URL,
    options: Resolved,
    monotonic: () => number,
    signal: StopSignal,
  ) {
    const { policy, now, timeout, onEvent } = options
    this.origin = { issuer: policy.issuer, uri: uri.href }
    this.#store = store
    this.#name = storeName(kind, this.origin)
    this.#onEvent = onEvent
    this.shared = new SharedLook({
      store,
      name: `${this.#name}-note`,
      now,
      monotonic,
      timeout,
      skew: policy.skew,
      async delay(milliseconds) {
        await pause(milliseconds, signal)
        signal.throwIfAborted()
      },
      random: Math.random,
      onFailure: (error) => this.report(error),
    })
  }

  /** @throws StoreFailed */
  get(): Promise<string | undefined> {
    return this.#store.get(this.#name)
  }

  /** A text that can't be put is told by `onEvent`: nothing depends on it. */
  async put(text: string): Promise<void> {
    try {
      await this.#store.put(this.#name, text)
    } catch (error) {
      this.report(error)
    }
  }

  /** Tells that the store, or what it has, is of no use. */
  report(error: unknown): void {
    const { message } = error instanceof StoreFailed ? error : new StoreFailed(failure(error))
    this.#onEvent({ type: 'store_failed', reason: message })
  }
}
