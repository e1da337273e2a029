import type { FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { AppError, type ErrorCode } from '../errors/app-error.ts'
import { requestSource } from '../http/request-source.ts'
import { requestToken } from '../tokens/credential.ts'
import type { GuardOptions } from '../tokens/guard.ts'
import type { LogoutScope } from './end-session.ts'
import type { RefreshCookie } from './refresh-cookie.ts'
import { decodeRefreshToken } from './refresh-token.ts'
import type { SessionLimits } from './session.ts'
import type { SessionStore } from './session-store.ts'
import type { RefreshKeys } from './token-pair.ts'

export interface LogoutCallerParts {
  readonly verify: GuardOptions['verify']
  readonly sessions: Pick<SessionStore, 'live' | 'endIfReused'>
  readonly limits: SessionLimits
  readonly revocationsApplied: () => Promise<void>
  readonly refreshKeys: RefreshKeys
  readonly refreshCookie: RefreshCookie
  readonly now: Clock
}

/** Refusals of an access token after which a refresh token may say who it is. */
const NO_ACCESS: readonly ErrorCode[] = [
  'missing_token',
  'invalid_token',
  'token_expired',
  'token_stale',
  'revocations_stale',
]

/**
 * Who logs out: whom a good access token names; otherwise the owner of the live session of a genuine refresh token.
 *
 * @returns a function that gives undefined when there is nothing left to end: the session of the refresh token is over.
 *   It throws the AppError of the access token when no refresh token was sent, and `invalid_refresh_token` for one that
 *   this server never made, and when more than its own session was to be ended by one that is over
 */
export function createLogoutCaller(parts: LogoutCallerParts) {
  const { verify, sessions, refreshKeys, limits, revocationsApplied, now } = parts
  const over = (reason: string) => new AppError('invalid_refresh_token', { reason })

  return async (
    request: FastifyRequest,
    refreshToken: string | undefined,
    scope: LogoutScope,
  ): Promise<{ accountId: string; sessionId: string | undefined } | undefined> => {
    try {
      const { sub: accountId, sid: sessionId } = await verify(requestToken(request.raw))
      return { accountId, sessionId }
    } catch (error) {
      const mayGoOn = error instanceof AppError && NO_ACCESS.includes(error.code)
      if (!mayGoOn || refreshToken === undefined) throw error
    }
    const claim = decodeRefreshToken(refreshToken, refreshKeys.current())
    if (claim === undefined) throw over('the refresh token was not made with a key of this server')
    // A copy from long ago ends its own session, as at a refresh, and says nothing about the others.
    if (await sessions.endIfReused(claim, { now: now(), limits, source: requestSource(request) })) {
      await revocationsApplied()
      if (scope === 'session') return undefined
      throw over('the refresh token was used before, so its session was ended')
    }
    const session = await sessions.live(claim, now())
    if (session !== undefined) return { accountId: session.accountId, sessionId: claim.sessionId }
    if (scope === 'session') return undefined
    throw over('the session of the refresh token has ended or expired')
  }
}
