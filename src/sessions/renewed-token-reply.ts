import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RefreshCookie } from './refresh-cookie.ts'
import { decodeRefreshToken } from './refresh-token.ts'
import type { RenewedSession } from './session.ts'
import type { IssuePair, RefreshKeys } from './token-pair.ts'
import { tokenReply } from './token-reply.ts'

export interface RenewedReply {
  readonly issuePair: IssuePair
  readonly refreshKeys: RefreshKeys
  readonly refreshCookie: RefreshCookie
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

/** True when the request came with the refresh cookie of its own session. */
function usesCookie(request: FastifyRequest, { refreshCookie, refreshKeys }: RenewedReply): boolean {
  const cookie = refreshCookie.read(request)
  const claim = cookie === undefined ? undefined : decodeRefreshToken(cookie, refreshKeys.current())
  return claim !== undefined && claim.sessionId === request.user.sid
}
