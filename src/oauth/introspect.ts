import { audienceOf, type Client } from '../clients/client.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { VerifyIssuedToken } from './verify-issued-token.ts'

export type Introspect = (client: Client, token: string) => Promise<AccessTokenClaims | undefined>

/**
 * Token introspection (RFC 7662), for callers that can't verify a token themselves.
 *
 * @returns a function that returns the claims of a token that is good now and concerns the caller: it was issued to the
 *   caller, or is for one of its audiences. It returns undefined for every other token, so that the caller learns
 *   nothing about it (section 2.2). Refresh tokens concern only our own public client, which can't introspect.
 */
export function createIntrospect(parts: {
  verifyIssuedToken: VerifyIssuedToken
  /**
   * Resolves when this node refuses everything that was revoked before, on any node. Rejects when the store can't be
   * read.
   */
  revocationsApplied: () => Promise<void>
  /** The audience of the server, for clients without one of their own. */
  audience: readonly string[]
}): Introspect {
  return async (client, token) => {
    await parts.revocationsApplied()
    const claims = await parts.verifyIssuedToken(token)
    if (claims === undefined) return undefined
    const audience = audienceOf(client, parts.audience)
    const concerned = claims.client_id === client.id || [claims.aud].flat().some((name) => audience.includes(name))
    return concerned ? claims : undefined
  }
}
