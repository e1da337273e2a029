import type { AccessTokenClaims } from './claims.ts'

export interface VerifiedToken {
  readonly kid: string
  readonly claims: AccessTokenClaims
}

/** The most that one generation of the cache may hold. */
export interface CacheLimit {
  readonly entries: number
  /** Characters of all its tokens together. Their claims take about as much memory again. */
  readonly characters: number
}

/** Enough for ten thousand active users, in some 40 MB. */
export const CACHE_BOUNDS: CacheLimit = { entries: 10_000, characters: 16_000_000 }

interface Entry extends VerifiedToken {
  readonly token: string
}

/**
 * Characters at the end of the signature that are the key of the Map: 258 bits, and short enough to be hashed quickly.
 */
const TAIL = 43

/**
 * The cache of tokens whose signature and claims were verified. An entry is found by the end of its signature, and
 * counts only when the whole text is equal to the text that was verified, so no two tokens share an entry. What can
 * change while a token lives (its key, its age, its revocation) is not cached: the verifier checks it on every hit.
 *
 * The size is bounded by two generations: when the young one is full, it becomes the old one, and the previous old one
 * is dropped. A token that is used moves to the young one. So get and put are a few Map operations, and nothing is ever
 * scanned.
 */
export class VerifiedTokens {
  readonly #limit: CacheLimit
  #young = new Map<string, Entry>()
  #old = new Map<string, Entry>()
  #characters = 0
  /** How often a token was found and not found: plain counters that the metrics read. */
  hits = 0
  misses = 0

  /** @param limit of one generation; at most twice as much is held */
  constructor(limit: CacheLimit) {
    this.#limit = limit
  }

  get(token: string): VerifiedToken | undefined {
    const tail = token.slice(-TAIL)
    const young = this.#young.get(tail)
    if (young !== undefined && young.token === token) {
      this.hits += 1
      return young
    }
    const old = this.#old.get(tail)
    if (old === undefined || old.token !== token) {
      this.misses += 1
      return undefined
    }
    this.hits += 1
    this.#keep(tail, old)
    return old
  }

  put(token: string, { kid, claims }: VerifiedToken): void {
    this.#keep(token.slice(-TAIL), { token, kid, claims })
  }

  #keep(tail: string, entry: Entry): void {
    const { entries, characters } = this.#limit
    if (this.#young.size >= entries || this.#characters + entry.token.length > characters) {
      this.#old = this.#young
      this.#young = new Map()
      this.#characters = 0
    }
    // A tail must be in one generation only: otherwise an older entry would reappear when the young generation is
    // dropped.
    this.#old.delete(tail)
    this.#young.set(tail, entry)
    this.#characters += entry.token.length
  }

  drop(token: string): void {
    const tail = token.slice(-TAIL)
    for (const generation of [this.#young, this.#old])
      if (generation.get(tail)?.token === token) generation.delete(tail)
  }

  /**
   * Drops expired tokens, so that none is held longer than it lives.
   *
   * @param deadline epoch seconds: a token whose `exp` is not later is dropped
   */
  sweep(deadline: number): void {
    for (const generation of [this.#young, this.#old]) {
      for (const [tail, { claims }] of generation) if (claims.exp <= deadline) generation.delete(tail)
    }
  }

  *[Symbol.iterator](): Generator<VerifiedToken> {
    for (const generation of [this.#young, this.#old]) yield* generation.values()
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }
}
