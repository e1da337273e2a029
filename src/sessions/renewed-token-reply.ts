import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../errors/app-error.ts'
import type { HasCookieTransport } from './cookie-transport.ts'
import type { RefreshCookie } from './refresh-cookie.ts'
import { decodeRefreshToken } from './refresh-token.ts'
import type { RenewedSession } from './session.ts'
import type { IssuePair, RefreshKeys } from './token-pair.ts'
import { tokenReply } from './token-reply.ts'

export interface RenewedReply {
  readonly issuePair: IssuePair
  readonly refreshKeys: RefreshKeys
  readonly refreshCookie: RefreshCookie
  readonly hasCookieTransport: HasCookieTransport
  /** Seconds. */
  readonly idleTtl: number
}

/** The tokens of a session that got a new refresh token: in the cookie, if the session came with one. */
export async function renewedTokenReply(
  request: FastifyRequest,
  reply: FastifyReply,
  { session, subject }: RenewedSession,
  parts: RenewedReply,
) {
  const { issuePair, refreshCookie, idleTtl } = parts
  const pair = await issuePair(session, subject)
  return tokenReply(reply, pair, usesCookie(request, parts) ? { refreshCookie, maxAge: idleTtl } : undefined)
}

/**
 * Call it before anything changes: a session of the cookie transport gets its new refresh token in the cookie and in no
 * other way, and a browser that sends no cookie takes none.
 *
 * @throws AppError `refresh_cookie_missing`
 */
export async function assertCookieIsThere(request: FastifyRequest, parts: RenewedReply): Promise<void> {
  const { sub: accountId, sid: sessionId } = request.user
  if (sessionId === undefined || usesCookie(request, parts)) return
  if (await parts.hasCookieTransport({ accountId, sessionId })) throw new AppError('refresh_cookie_missing')
}

/** True when the request came with the refresh cookie of its own session. */
function usesCookie(request: FastifyRequest, { refreshCookie, refreshKeys }: RenewedReply): boolean {
  const cookie = refreshCookie.read(request)
  const claim = cookie === undefined ? undefined : decodeRefreshToken(cookie, refreshKeys.current())
  return claim !== undefined && claim.sessionId === request.user.sid
}
