/**
 * Revocations: the rows in the store, the set in memory that every request is checked against, and the signed feed that
 * publishes it to other services. Ending a session belongs here too, because it is one transaction with the revocation.
 * Keys are revoked in `keys/`.
 */

import { MAX_ACCESS_TOKEN_TTL_SECONDS, MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'

/** What a revocation is about, by claim: `sid`, `sub`, `client_id`, `jti`. Keys are revoked in the keyring. */
export type RevocationKind = 'session' | 'account' | 'client' | 'token'

export interface Revocation {
  readonly kind: RevocationKind
  readonly subject: string
  /**
   * For accounts and clients: the lowest `token_version` that is still good. Null revokes every token that names the
   * subject.
   */
  readonly minVersion: number | null
  /** Grows with every revocation, over all nodes. */
  readonly seq: number
  /** Epoch seconds from which every token that it could affect has expired. */
  readonly expiresAt: number
}

/**
 * So many numbers (`seq`) are left out when a new history of numbers begins: more than all revocations since any
 * backup, and than those which a standby missed.
 */
export const UNUSED_NUMBERS = 1_000_000_000

/**
 * The instant from which a revocation made now affects no token any more. It is computed from the ceilings, so that
 * changing a setting never makes it too early.
 *
 * @param now epoch seconds
 * @returns epoch seconds
 */
export function revocationExpiry(now: number): number {
  return now + MAX_ACCESS_TOKEN_TTL_SECONDS + 2 * MAX_CLOCK_SKEW_SECONDS
}

/**
 * The instant from which a revocation of one access token is not needed any more. After the clock was set back, a token
 * may live longer than one that is issued now.
 *
 * @param exp of the token, epoch seconds like `now`
 * @returns epoch seconds
 */
export function tokenRevocationExpiry(exp: number, now: number): number {
  return Math.max(revocationExpiry(now), exp + 2 * MAX_CLOCK_SKEW_SECONDS)
}

/** Why a session ended, as stored in its row. */
export type EndReason =
  | 'logout'
  | 'reused'
  | 'limit'
  | 'password_changed'
  | 'recovered'
  | 'disowned'
  | 'suspended'
  | 'revoked'
  | 'restored'
  | 'everybody'
