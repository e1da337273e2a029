import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { SessionStore } from './session-store.ts'

/**
 * The check of `auth: 'live'`: reads the rows of the session and the account (or of the client that acts for itself) at
 * this instant, for actions that must not happen in the second that a revocation takes to arrive.
 *
 * @returns a function that rejects with AppError `invalid_token` or `token_stale`
 */
export function createLiveCheck({
  sessions,
  clients,
  now,
}: {
  sessions: SessionStore
  clients: { byId(id: string): Promise<{ status: string; tokenVersion: number } | undefined> }
  now: Clock
}): (claims: AccessTokenClaims) => Promise<void> {
  return async ({ sub, sid, client_id, token_version }) => {
    if (sid === undefined && sub === client_id) {
      const client = await clients.byId(sub)
      if (client?.status === 'active' && client.tokenVersion === token_version) return
      throw new AppError('invalid_token', {
        reason: 'live check: the client does not exist, or was disabled after the token was issued',
        refusal: 'revoked_client',
      })
    }
    if (sid === undefined)
      throw new AppError('invalid_token', { reason: 'live check: the token names no session', refusal: 'claim' })
    const tokenSubject = await sessions.tokenSubject(sid, sub, now())
    if (tokenSubject === undefined)
      throw new AppError('invalid_token', {
        reason: 'live check: the account has no such active session',
        refusal: 'revoked_session',
      })
    if (tokenSubject.tokenVersion !== token_version)
      throw new AppError('token_stale', {
        reason: 'live check: the account changed after the token was issued',
        refusal: 'stale_version',
      })
  }
}
