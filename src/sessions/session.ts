import type { Config } from '../config/config.ts'

/** One login, from its beginning to its end. Instants are epoch seconds. */
export interface Session {
  readonly id: string
  readonly accountId: string
  readonly clientId: string
  readonly scope: string
  /** The login: `auth_time` of every token of this session. */
  readonly createdAt: number
  readonly lastUsedAt: number
  readonly expiresAt: number
  readonly ip: string | null
  readonly userAgent: string | null
}

export interface SessionLimits {
  /** Seconds a session may stay unused. */
  readonly idleTtl: number
  /** Seconds a session may live at all. */
  readonly maxTtl: number
  /** Sessions of one account at a time. */
  readonly perAccount: number
  /** Seconds for which the refresh token before the present one gets the same successor again. */
  readonly grace: number
  /** Seconds after which it ends the session: `grace` or more. In between it is refused, and that is all. */
  readonly reusedAfter: number
}

/**
 * The node that sees a refresh token again is often not the one that wrote down when it was replaced. On PostgreSQL, where nodes
 * have clocks of their own, both limits are longer by what those may differ: an honest retry must not be taken for a thief.
 */
export function sessionLimits(config: Config, { engine }: { engine: 'sqlite' | 'postgres' }): SessionLimits {
  const grace = config.REFRESH_GRACE
  const skew = engine === 'postgres' ? config.CLOCK_SKEW : 0
  return {
    idleTtl: config.SESSION_IDLE_TTL,
    maxTtl: config.SESSION_MAX_TTL,
    perAccount: config.MAX_SESSIONS_PER_ACCOUNT,
    grace: grace === 0 ? 0 : grace + skew, // 0 says that there is no second chance
    reusedAfter: grace + skew,
  }
}

/** How often the same successor is given again: enough for all tabs of a browser, not for somebody who walks in step. */
export const MAX_REPEATS = 10

/** Everything of an account that goes into its tokens, read afresh at each refresh. */
export interface TokenSubject {
  readonly accountId: string
  readonly roles: readonly string[]
  readonly tokenVersion: number
}

/** What a presented refresh token led to. It is committed before it is answered. */
export type RefreshOutcome =
  | { readonly kind: 'rotated' | 'repeated'; readonly session: RefreshedSession; readonly standing: TokenSubject }
  | { readonly kind: 'reused' | 'refused' }

export interface RefreshedSession {
  readonly id: string
  readonly clientId: string
  readonly scope: string
  readonly createdAt: number
  readonly counter: number
  readonly rotatedAt: number
}
