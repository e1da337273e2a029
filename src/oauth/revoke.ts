import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { OAuthError } from '../errors/oauth-error.ts'
import { decodeRefreshToken } from '../sessions/refresh-token.ts'
import type { SessionStore } from '../sessions/session-store.ts'
import type { RefreshKeys } from '../sessions/token-pair.ts'
import type { TokenStore } from './token-store.ts'
import type { VerifyIssuedToken } from './verify-issued-token.ts'

export type Revoke = (clientId: string, token: string, source: RequestSource) => Promise<void>

/**
 * Token revocation (RFC 7009): for a refresh token its session ends, an access token is revoked alone. When it
 * resolves, this node refuses what was revoked. A text that is no token, or no longer one, is ignored: it can't be used
 * either.
 *
 * @returns a function that throws OAuthError `unauthorized_client` for a good token of another client (section 2.1)
 */
export function createRevoke(parts: {
  sessions: Pick<SessionStore, 'live' | 'end'>
  refreshKeys: RefreshKeys
  tokens: TokenStore
  verifyIssuedToken: VerifyIssuedToken
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  now: Clock
}): Revoke {
  const { sessions, refreshKeys, tokens, verifyIssuedToken, revocationsApplied, now } = parts

  const assertOwn = (clientId: string, owner: string) => {
    if (owner === clientId) return
    throw new OAuthError('unauthorized_client', 'a token of another client', 'The token belongs to another client.')
  }

  const endSession = async (clientId: string, sessionId: string, source: RequestSource) => {
    const session = await sessions.live(sessionId, now())
    if (session === undefined) return
    assertOwn(clientId, session.clientId)
    const { accountId } = session
    const entry: AuditEntry = {
      event: 'token_revoked',
      source,
      accountId,
      sessionId,
      detail: { client_id: clientId, token_type: 'refresh_token' },
    }
    await sessions.end({ accountId, id: sessionId }, 'revoked', now(), entry)
  }

  return async (clientId, token, source) => {
    const refreshClaim = decodeRefreshToken(token, refreshKeys.current())
    if (refreshClaim !== undefined) {
      await endSession(clientId, refreshClaim.sessionId, source)
      return revocationsApplied()
    }
    const claims = verifyIssuedToken(token)
    if (claims === undefined) return
    assertOwn(clientId, claims.client_id)
    const { jti, sub, sid: sessionId } = claims
    const detail = { client_id: clientId, token_type: 'access_token', jti }
    const entry: AuditEntry = {
      event: 'token_revoked',
      source,
      accountId: sub === clientId ? undefined : sub,
      sessionId,
      detail,
    }
    await tokens.revoke(jti, now(), entry)
    await revocationsApplied()
  }
}
