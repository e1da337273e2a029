import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { VerifiedToken } from '../../tokens/verified-tokens.ts'

/**
 * Which key signed the token of these claims, for claims that a verifier returned. Nothing is remembered before
 * somebody asks: an entry of a WeakMap costs a new token 2 to 4 % of its time. Then those count that are cached, and
 * all later.
 */
export class KidsOfClaims {
  readonly #cached: Iterable<VerifiedToken>
  #kids: WeakMap<AccessTokenClaims, string> | undefined

  /** @param cached the tokens that the verifier remembers, at each moment */
  constructor(cached: Iterable<VerifiedToken>) {
    this.#cached = cached
  }

  set(claims: AccessTokenClaims, kid: string): void {
    this.#kids?.set(claims, kid)
  }

  /** @returns undefined for claims of another origin */
  get(claims: AccessTokenClaims): string | undefined {
    this.#kids ??= new WeakMap([...this.#cached].map((known): [AccessTokenClaims, string] => [known.claims, known.kid]))
    return this.#kids.get(claims)
  }
}
