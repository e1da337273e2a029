import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '../accounts/confirm-password.ts'
import type { IsGone } from '../accounts/passwords.ts'
import type { RequestSource } from '../audit/audit.ts'
import { AppError } from '../errors/app-error.ts'
import { isGone, requestSource } from '../http/request-source.ts'
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

/**
 * Runs work that gives the session of the caller a new refresh token, and answers with its tokens: in the cookie, if
 * the request came with that of its session. A session of the cookie transport gets it in no other way, and a browser
 * that sends no cookie takes none: this is found out before anything changes.
 *
 * @throws AppError `refresh_cookie_missing`, and whatever `renew` throws
 */
export async function replyRenewed(
  request: FastifyRequest,
  reply: FastifyReply,
  parts: RenewedReply,
  renew: (caller: Caller, source: RequestSource, isGone: IsGone) => Promise<RenewedSession>,
) {
  const { issuePair, refreshCookie, hasCookieTransport, idleTtl } = parts
  const { sub: accountId, sid: sessionId } = request.user
  const withCookie = usesCookie(request, parts)
  if (!withCookie && sessionId !== undefined && (await hasCookieTransport({ accountId, sessionId })))
    throw new AppError('refresh_cookie_missing')
  const { session, subject } = await renew({ accountId, sessionId }, requestSource(request), isGone(request))
  const pair = await issuePair(session, subject)
  return tokenReply(reply, pair, withCookie ? { refreshCookie, maxAge: idleTtl } : undefined)
}

/** True when the request came with the refresh cookie of its own session. */
function usesCookie(request: FastifyRequest, { refreshCookie, refreshKeys }: RenewedReply): boolean {
  const cookie = refreshCookie.read(request)
  const claim = cookie === undefined ? undefined : decodeRefreshToken(cookie, refreshKeys.current())
  return claim !== undefined && claim.sessionId === request.user.sid
}
