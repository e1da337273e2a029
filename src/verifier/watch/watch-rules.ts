import type { Clock } from '../../clock.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'

/** The rules by which a watched token is over. `Over` says why. */
export interface WatchRules<Over> {
  /** Epoch seconds. */
  readonly now: Clock
  /** Seconds for which a token is good after its `exp`. */
  readonly skew: number
  /** What the guard says to this token now. Undefined: it is good. */
  judge(claims: AccessTokenClaims, kid: string): Over | undefined
  /** Whether this may be for lack of knowledge only: then it counts after a look. */
  isUnsure(over: Over): boolean
  /** Asks the issuer. */
  look(over: Over): Promise<unknown>
  /** Called once a second. @returns whether all tokens have to be judged again */
  beat(): boolean
  /** Gets what an owner throws. The others are told all the same. */
  onError(error: unknown): void
}
