import type { Keyring } from './keyring.ts'
import type { RevokedKey, RevokedKeyStore } from './revoked-key-store.ts'

/**
 * Every key that this process ever knew as revoked: from the keys folder and from the store. It only grows, so a key
 * stays revoked when an older copy of the folder is put in place. Judging asks the memory alone, never the store.
 */
export class RevokedKeys {
  readonly #known = new Map<string, RevokedKey>()
  readonly #unsaved = new Map<string, RevokedKey>()
  readonly #store: RevokedKeyStore | undefined

  constructor(store?: RevokedKeyStore) {
    this.#store = store
  }

  has(kid: string): boolean {
    return this.#known.has(kid)
  }

  /** Remembers what the keys folder says; `sync` writes it to the store. */
  see(keys: readonly RevokedKey[]): void {
    for (const key of keys.filter(({ kid }) => !this.#known.has(kid))) {
      this.#known.set(key.kid, key)
      this.#unsaved.set(key.kid, key)
    }
  }

  /** The revoked signing keys, in an order that is the same on every node. */
  signingKids(): string[] {
    return [...this.#known.keys()].filter((kid) => kid.length === 43).sort()
  }

  /** The keyring in which every key that was ever revoked is revoked, whatever the manifest says. */
  applyTo(keyring: Keyring): Keyring {
    return keyring.map((entry) => ({
      ...entry,
      revoked_at: entry.revoked_at ?? this.#known.get(entry.kid)?.revokedAt ?? null,
    }))
  }

  /**
   * Reads what the store knows, and writes what it does not know yet.
   *
   * @returns true when the store knew of a revocation that this process did not
   * @throws AppError `store_unavailable`; what is in memory stays, and the next call tries again
   */
  async sync(): Promise<boolean> {
    if (this.#store === undefined) return false
    const stored = await this.#store.all()
    const news = stored.filter(({ kid }) => !this.#known.has(kid))
    for (const key of stored) {
      this.#known.set(key.kid, key)
      this.#unsaved.delete(key.kid)
    }
    const unsaved = [...this.#unsaved.values()]
    if (unsaved.length > 0) await this.#store.add(unsaved)
    for (const { kid } of unsaved) this.#unsaved.delete(kid)
    return news.length > 0
  }
}
