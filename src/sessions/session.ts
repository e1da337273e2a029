/**
 * Logins of people: opening a session, refreshing it, ending it, the refresh token and its cookie. Checking an access
 * token belongs to `tokens/`; grants of OAuth clients belong to `oauth/`.
 */

import type { Config } from '../config/config.ts'

/** One login, from opening to end. Instants are epoch seconds. */
export interface Session {
  readonly id: string
  readonly accountId: string
  readonly clientId: string
  readonly scope: string
  /** The time of the login: `auth_time` of every token of this session. */
  readonly createdAt: number
  readonly lastUsedAt: number
  readonly expiresAt: number
  readonly ip: string | null
  readonly userAgent: string | null
}

export interface SessionLimits {
  /** Seconds after which an unused session ends. */
  readonly idleTtl: number
  /** Longest life of a session in seconds, from its login. */
  readonly maxTtl: number
  /** Sessions of one account at a time. */
  readonly perAccount: number
  /** Seconds during which the previous refresh token gets the same successor again. */
  readonly grace: number
  /**
   * Seconds after which using the previous refresh token ends the session: `grace` or more. Between the two the request
   * is only refused.
   */
  readonly reusedAfter: number
}

/**
 * The limits of sessions, in seconds. The node that sees a refresh token again is often not the node that recorded when
 * it was replaced. On PostgreSQL, where each node has its own clock, both limits are longer by the clock skew: an
 * honest retry must not be taken for a theft.
 */
export function sessionLimits(config: Config, { engine }: { engine: 'sqlite' | 'postgres' }): SessionLimits {
  const grace = config.REFRESH_GRACE
  const skew = engine === 'postgres' ? config.CLOCK_SKEW : 0
  return {
    idleTtl: config.SESSION_IDLE_TTL,
    maxTtl: config.SESSION_MAX_TTL,
    perAccount: config.MAX_SESSIONS_PER_ACCOUNT,
    grace: grace === 0 ? 0 : grace + skew, // 0 means that no repeat is allowed
    reusedAfter: grace + skew,
  }
}

/**
 * How often the same successor is given again: enough for all tabs of a browser, too few for a thief who uses each
 * token right after its owner.
 */
export const MAX_REPEATS = 10

/** The members of an account that its tokens carry, read again at each refresh. */
export interface TokenSubject {
  readonly accountId: string
  readonly roles: readonly string[]
  readonly tokenVersion: number
}

/** The result of presenting a refresh token. It is committed before it is answered. */
export type RefreshOutcome =
  | { readonly kind: 'rotated' | 'repeated'; readonly session: RefreshedSession; readonly subject: TokenSubject }
  | { readonly kind: 'reused' | 'refused' }

export interface RefreshedSession {
  readonly id: string
  readonly clientId: string
  readonly scope: string
  readonly createdAt: number
  readonly counter: number
  readonly rotatedAt: number
}
