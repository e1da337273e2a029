import type { AuditLog, RequestSource } from '../audit/audit.ts'
import { audienceOf, type Client } from '../clients/client.ts'
import { type Spending, spend } from '../limits/limiter.ts'
import type { IssueAccessToken } from '../tokens/issue.ts'
import { grantedAudience, grantedScope } from './narrowing.ts'

/** What a token request asks for besides its grant. */
export interface RequestedGrant {
  readonly scope: string | undefined
  /** RFC 8707; empty when no resource is named. */
  readonly resources: readonly string[]
}

export interface ClientToken {
  readonly accessToken: string
  /** Seconds until it expires. */
  readonly expiresIn: number
  readonly scope: string
}

export type ClientCredentialsGrant = (
  client: Client,
  requested: RequestedGrant,
  source: RequestSource,
) => Promise<ClientToken>

/**
 * Issues a token to a client that acts for itself (RFC 6749 section 4.4): it is its own subject, has no session and
 * gets no refresh token.
 *
 * @param parts.audience of the server, for clients without one of their own
 * @returns a function that throws OAuthError `invalid_scope`, `invalid_target`, and AppError `too_many_requests`
 */
export function createClientCredentialsGrant(parts: {
  issue: IssueAccessToken
  audience: readonly string[]
  issuer: string
  limiter: Spending
  auditLog: AuditLog
}): ClientCredentialsGrant {
  const { issue, limiter, auditLog } = parts
  return async (client, requested, source) => {
    // After authentication, so nobody can use up the quota of another client.
    await spend(limiter, 'tokenClient', client.id)
    const scope = grantedScope(requested.scope, client.scope)
    const audience = grantedAudience(requested.resources, audienceOf(client, parts.audience), parts)
    const { token, expiresIn } = await issue({
      sub: client.id,
      client_id: client.id,
      scope,
      token_version: client.tokenVersion,
      audience,
      ...(client.ttl !== null && { ttl: client.ttl }),
    })
    // A log line without an audit row.
    auditLog({ event: 'client_token_issued', source, detail: { client_id: client.id, scope, audience } })
    return { accessToken: token, expiresIn, scope }
  }
}
