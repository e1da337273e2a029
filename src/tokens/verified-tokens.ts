import type { AccessTokenClaims } from './claims.ts'

export interface VerifiedToken {
  readonly kid: string
  readonly claims: AccessTokenClaims
}

/**
 * Tokens whose signature and claims were verified, by their whole text: exact, so no two tokens share an entry. What can change
 * while a token lives (its key, its age, its revocation) is not cached: the guard asks again on every hit.
 *
 * Two generations bound it: when the young one is full it becomes the old one, and the old one goes. A token that is used moves
 * back into the young one. Put and get are a Map operation each, and nothing is ever walked.
 */
export class VerifiedTokens {
  readonly #limit: number
  #young = new Map<string, VerifiedToken>()
  #old = new Map<string, VerifiedToken>()

  /** @param limit most entries of a generation; twice as many are held at the most */
  constructor(limit: number) {
    this.#limit = limit
  }

  get(token: string): VerifiedToken | undefined {
    const young = this.#young.get(token)
    if (young !== undefined) return young
    const old = this.#old.get(token)
    if (old !== undefined) this.put(token, old)
    return old
  }

  put(token: string, verified: VerifiedToken): void {
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(token, verified)
  }

  drop(token: string): void {
    this.#young.delete(token)
    this.#old.delete(token)
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }
}
