import type { FastifyReply } from 'fastify'
import type { RefreshCookie } from './refresh-cookie.ts'
import type { TokenPair } from './token-pair.ts'

/**
 * The body of a token response (RFC 6749 section 5.1). With the cookie transport the refresh token is in a cookie
 * instead.
 */
export function tokenReply(
  reply: FastifyReply,
  pair: TokenPair,
  cookie: { refreshCookie: RefreshCookie; maxAge: number } | undefined,
) {
  reply.header('cache-control', 'no-store')
  if (cookie !== undefined) cookie.refreshCookie.set(reply, pair.refreshToken, cookie.maxAge)
  return {
    access_token: pair.accessToken,
    token_type: 'Bearer' as const,
    expires_in: pair.expiresIn,
    ...(cookie === undefined && { refresh_token: pair.refreshToken }),
    scope: pair.scope,
  }
}
