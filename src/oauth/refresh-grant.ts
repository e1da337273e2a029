import type { RequestSource } from '../audit/audit.ts'
import { AppError } from '../errors/app-error.ts'
import { OAuthError } from '../errors/oauth-error.ts'
import type { Refresh } from '../sessions/refresh.ts'
import { decodeRefreshToken } from '../sessions/refresh-token.ts'
import type { SessionStore } from '../sessions/session-store.ts'
import type { RefreshKeys, TokenPair } from '../sessions/token-pair.ts'
import type { RequestedGrant } from './client-credentials-grant.ts'
import { grantedAudience, grantedScope } from './narrowing.ts'

export type RefreshGrant = (
  clientId: string,
  refreshToken: string,
  requested: RequestedGrant,
  source: RequestSource,
) => Promise<TokenPair>

/**
 * The refresh token grant (RFC 6749 section 6): `/v1/refresh` for OAuth clients.
 *
 * Client, scope and resources are checked before the refresh, so that a refused request uses nothing up. The client and
 * the scope of a session never change, so what this check found is still true at the refresh.
 *
 * @returns a function that throws OAuthError, or what Refresh throws
 */
export function createRefreshGrant(parts: {
  sessions: Pick<SessionStore, 'live'>
  refreshKeys: RefreshKeys
  refresh: Refresh
  /** The audience of the server: tokens of a session may be for all of it. */
  audience: readonly string[]
  issuer: string
  now: () => number
}): RefreshGrant {
  const { sessions, refreshKeys, refresh, now } = parts
  return async (clientId, refreshToken, requested, source) => {
    const claim = decodeRefreshToken(refreshToken, refreshKeys.current())
    if (claim === undefined)
      throw new AppError('invalid_refresh_token', {
        reason: 'the refresh token was not made with a key of this server',
      })
    const session = await sessions.live(claim, now())
    if (session === undefined)
      throw new AppError('invalid_refresh_token', { reason: 'the session has ended or expired' })
    if (session.clientId !== clientId) throw new OAuthError('invalid_grant', 'a session of another client')
    const scope = grantedScope(requested.scope, session.scope)
    const audience = grantedAudience(requested.resources, parts.audience, parts)
    return refresh(refreshToken, source, { scope, audience })
  }
}
