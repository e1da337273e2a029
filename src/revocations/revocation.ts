import { MAX_ACCESS_TOKEN_TTL_SECONDS, MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'

/** What is withdrawn: by `sid`, by `sub`, by `client_id`, by `jti`. Keys are withdrawn in the keyring. */
export type RevocationKind = 'session' | 'account' | 'client' | 'token'

export interface Revocation {
  readonly kind: RevocationKind
  readonly subject: string
  /** For accounts and clients: the lowest `token_version` still good. Null withdraws whatever names the subject. */
  readonly minVersion: number | null
  /** Grows with every revocation, over all nodes. */
  readonly seq: number
  /** Epoch seconds: from then on no token it could hit is alive. */
  readonly expiresAt: number
}

/** When a revocation made now has nothing left to hit. Planned with the ceilings, so that no setting can cut it short. */
export function revocationExpiry(now: number): number {
  return now + MAX_ACCESS_TOKEN_TTL_SECONDS + 2 * MAX_CLOCK_SKEW_SECONDS
}

/** Why a session ended, as its row says. */
export type EndReason = 'logout' | 'reused' | 'limit' | 'password_changed' | 'suspended' | 'revoked'
