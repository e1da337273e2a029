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
  /** The time of the login. */
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
  /** Seconds during which a refresh token that was exchanged gets the current one again; 0 = never. */
  readonly grace: number
  /** Seconds during which a client that lost the answer of a refresh may ask again; 0 = never. */
  readonly retry: number
}

/**
 * The limits of sessions, in seconds. The node that sees a refresh token again is often not the node that recorded when
 * it was replaced. On PostgreSQL, where each node has its own clock, both limits are longer by the clock skew: an
 * honest retry must not be taken for a theft.
 */
export function sessionLimits(config: Config, { engine }: { engine: 'sqlite' | 'postgres' }): SessionLimits {
  const skew = engine === 'postgres' ? config.CLOCK_SKEW : 0
  const withSkew = (seconds: number) => (seconds === 0 ? 0 : seconds + skew) // 0 means never
  return {
    idleTtl: config.SESSION_IDLE_TTL,
    maxTtl: config.SESSION_MAX_TTL,
    perAccount: config.MAX_SESSIONS_PER_ACCOUNT,
    grace: withSkew(config.REFRESH_GRACE),
    retry: withSkew(config.REFRESH_RETRY),
  }
}

/** The members of an account that its tokens carry, read again at each refresh. */
export interface TokenSubject {
  readonly accountId: string
  readonly roles: readonly string[]
  readonly tokenVersion: number
  readonly emailVerified: boolean
}

/** The result of presenting a refresh token. It is committed before it is answered. */
export type RefreshOutcome =
  | {
      readonly kind: 'rotated' | 'repeated' | 'retried' | 'ahead'
      readonly session: RefreshedSession
      readonly subject: TokenSubject
    }
  | { readonly kind: 'reused' | 'refused' }
  /** Too much at once. `retryIn`: seconds. */
  | { readonly kind: 'busy'; readonly retryIn: number }

export interface RefreshedSession {
  readonly id: string
  readonly clientId: string
  readonly scope: string
  /** The last time its owner showed the password, epoch seconds: `auth_time` of its tokens. */
  readonly authTime: number
  readonly counter: number
  readonly rotatedAt: number
}

/** A session that got a new refresh token because its owner showed the password. */
export interface RenewedSession {
  readonly session: RefreshedSession
  readonly subject: TokenSubject
}
