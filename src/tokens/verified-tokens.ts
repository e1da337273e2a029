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

/**
 * Tokens whose signature and claims were verified, by their whole text: exact, so no two tokens share an entry. What can change
 * while a token lives (its key, its age, its revocation) is not cached: the guard asks again on every hit.
 *
 * Two generations bound it: when the young one is full it becomes the old one, and the old one goes. A token that is used moves
 * back into the young one. Put and get are a Map operation each, and nothing is ever walked.
 */
export class VerifiedTokens {
  readonly #limit: CacheLimit
  #young = new Map<string, VerifiedToken>()
  #old = new Map<string, VerifiedToken>()
  #characters = 0
  /** How often a token was there, and was not: plain numbers, read when somebody wants to know. */
  hits = 0
  misses = 0

  /** @param limit of a generation; twice as much is held at the most */
  constructor(limit: CacheLimit) {
    this.#limit = limit
  }

  get(token: string): VerifiedToken | undefined {
    const young = this.#young.get(token)
    if (young !== undefined) {
      this.hits += 1
      return young
    }
    const old = this.#old.get(token)
    if (old === undefined) {
      this.misses += 1
      return undefined
    }
    this.hits += 1
    this.put(token, old)
    return old
  }

  put(token: string, verified: VerifiedToken): void {
    const { entries, characters } = this.#limit
    if (this.#young.size >= entries || this.#characters + token.length > characters) {
      this.#old = this.#young
      this.#young = new Map()
      this.#characters = 0
    }
    this.#young.set(token, verified)
    this.#characters += token.length
  }

  drop(token: string): void {
    this.#young.delete(token)
    this.#old.delete(token)
  }

  /** Drops what is over, so that no token is held longer than it lives. @param deadline epoch seconds: whose `exp` is not later goes */
  sweep(deadline: number): void {
    for (const generation of [this.#young, this.#old]) {
      for (const [token, { claims }] of generation) if (claims.exp <= deadline) generation.delete(token)
    }
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }
}
