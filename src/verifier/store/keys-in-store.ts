import { type Clocks, type JwksCopy, jwksCopy } from '../keys/jwks-copy.ts'
import { readJwks } from '../keys/jwks-reply.ts'
import type { Resolved } from '../options.ts'
import type { StoreEntry } from './store-entry.ts'
import { readKeys, type StoredKeys, writeKeys } from './stored-keys.ts'

/** The copy of the JWKS in a store. */
export class KeysInStore {
  readonly entry: StoreEntry
  readonly #options: Resolved
  /** What was read or put last, and what came of it. */
  #known: { readonly text: string; readonly keys: StoredKeys | undefined } | undefined

  constructor(options: Resolved, entry: StoreEntry) {
    this.entry = entry
    this.#options = options
  }

  /**
   * What the store has. What is of no use is told by `onEvent`, once.
   *
   * @returns when the issuer made it, in epoch seconds, and the copy; no copy when it was returned or put before
   * @throws StoreFailed when the store can't be asked
   */
  async load(clocks: () => Clocks): Promise<{ madeAt: number; copy: JwksCopy | undefined } | undefined> {
    const { policy, keysMaxStale, now, platform } = this.#options
    const text = await this.entry.get()
    if (text === undefined) return undefined
    if (text === this.#known?.text) return this.#known.keys && { madeAt: this.#known.keys.madeAt, copy: undefined }
    this.#known = { text, keys: undefined }
    try {
      const keys = readKeys(text, this.entry.origin, { now: now(), skew: policy.skew, keysMaxStale })
      const pems = await readJwks(keys.jwks, platform.readKey)
      this.#known = { text, keys }
      return { madeAt: keys.madeAt, copy: copyOf(keys, pems, clocks(), keysMaxStale) }
    } catch (error) {
      this.entry.report(error)
      return undefined
    }
  }

  async save({ text: jwks, etag, madeAt, lifetime }: JwksCopy, { monotonic, seconds }: Clocks): Promise<void> {
    const age = Math.ceil(Math.max(0, monotonic - madeAt) / 1000)
    const keys = { jwks, etag, madeAt: Math.floor(seconds) - age, maxAge: lifetime / 1000 }
    const text = writeKeys(this.entry.origin, keys)
    this.#known = { text, keys }
    await this.entry.put(text)
  }
}

function copyOf({ jwks, etag, madeAt, maxAge }: StoredKeys, pems: JwksCopy['pems'], clocks: Clocks, stale: number) {
  const age = Math.max(0, clocks.seconds - madeAt) * 1000
  return jwksCopy({ pems, text: jwks, etag, madeAt: clocks.monotonic - age, lifetime: maxAge * 1000 }, clocks, {
    leastFresh: 0,
    staleFor: stale * 1000,
    byBothClocks: true,
  })
}
