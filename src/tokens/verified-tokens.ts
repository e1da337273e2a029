import type { AccessTokenClaims } from './claims.ts'

export interface VerifiedToken {
  readonly kid: string
  readonly claims: AccessTokenClaims
}

/** What one generation may hold. */
export interface CacheLimit {
  readonly entries: number
  /** Characters of all its tokens together: their claims take about as much again. */
  readonly characters: number
}

/** Enough for ten thousand users at work, in some 40 MB. */
export const CACHE_BOUNDS: CacheLimit = { entries: 10_000, characters: 16_000_000 }

interface Entry extends VerifiedToken {
  readonly token: string
}

/** Characters of the signature by which a token is looked for: 258 bits, and short enough to be hashed in no time. */
const TAIL = 43

/**
 * Tokens whose signature and claims were verified. An entry is found by the end of the signature and counts only for the very text
 * that was verified, character by character, so no two tokens share one. What can change while a token lives (its key, its age,
 * its revocation) is not cached: the guard asks again on every hit.
 *
 * Two generations bound it: when the young one is full it becomes the old one, and the old one goes. A token that is used moves
 * back into the young one. Put and get are a Map operation each, and nothing is ever walked.
 */
export class VerifiedTokens {
  readonly #limit: CacheLimit
  #young = new Map<string, Entry>()
  #old = new Map<string, Entry>()
  #characters = 0
  /** How often a token was there, and was not: plain numbers, read when somebody wants to know. */
  hits = 0
  misses = 0

  /** @param limit of a generation; twice as much is held at the most */
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
    // In one generation only: what is older under this end would come back when the younger one is gone.
    this.#old.delete(tail)
    this.#young.set(tail, entry)
    this.#characters += entry.token.length
  }

  drop(token: string): void {
    const tail = token.slice(-TAIL)
    for (const generation of [this.#young, this.#old])
      if (generation.get(tail)?.token === token) generation.delete(tail)
  }

  /** Drops what is over, so that no token is held longer than it lives. @param deadline epoch seconds: whose `exp` is not later goes */
  sweep(deadline: number): void {
    for (const generation of [this.#young, this.#old]) {
      for (const [tail, { claims }] of generation) if (claims.exp <= deadline) generation.delete(tail)
    }
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }
}
