import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { OAuthError } from '../errors/oauth-error.ts'
import { decodeRefreshToken, type RefreshClaim } from '../sessions/refresh-token.ts'
import type { SessionStore } from '../sessions/session-store.ts'
import type { RefreshKeys } from '../sessions/token-pair.ts'
import type { TokenStore } from './token-store.ts'
import type { VerifyIssuedToken } from './verify-issued-token.ts'

/**
 * So many access tokens of one session are revoked one by one within the life of a token; with the next one the whole
 * session ends. Each is an entry of the feed, which every verifier reads: nobody may fill it with tokens of their own.
 */
const MAX_REVOKED_TOKENS_PER_SESSION = 5

export type Revoke = (clientId: string, token: string, source: RequestSource) => Promise<void>

/**
 * Token revocation (RFC 7009): for a refresh token its session ends. An access token is revoked alone; after a few of
 * one session, the session ends instead (section 2.1 leaves related tokens to the server's policy). When it resolves,
 * this node refuses what was revoked. A text that is no token, or no longer one, is ignored: it can't be used either.
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

  const endSession = async (clientId: string, claim: RefreshClaim, source: RequestSource) => {
    const { sessionId } = claim
    const session = await sessions.live(claim, now())
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
      await endSession(clientId, refreshClaim, source)
      return revocationsApplied()
    }
    const claims = await verifyIssuedToken(token)
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
    const among = { most: MAX_REVOKED_TOKENS_PER_SESSION, since: now() - (claims.exp - claims.iat) }
    if (!(await tokens.revoke(claims, now(), entry, among)) && sessionId !== undefined) {
      const ended = { ...entry, detail: { ...detail, ended: 'session' } }
      await sessions.end({ accountId: sub, id: sessionId }, 'revoked', now(), ended)
    }
    await revocationsApplied()
  }
}
