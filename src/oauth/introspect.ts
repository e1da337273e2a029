import type { Client } from '../clients/client.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { VerifyIssuedToken } from './verify-issued-token.ts'

export type Introspect = (client: Client, token: string) => Promise<AccessTokenClaims | undefined>

/**
 * Token introspection (RFC 7662), for callers that can't verify a token themselves.
 *
 * @returns a function that returns the claims of a token that is good now and concerns the caller: it was issued to the
 *   caller, or is for one of the audiences that it was created with. It returns undefined for every other token, so
 *   that the caller learns nothing about it (section 2.2). A client that was given no audience is no API: it gets
 *   tokens for the audience of the server, but the tokens of others, people's above all, are not for it. Refresh tokens
 *   concern only our own public client, which can't introspect.
 */
export function createIntrospect(parts: {
  verifyIssuedToken: VerifyIssuedToken
  /**
   * Resolves when this node refuses everything that was revoked before, on any node. Rejects when the store can't be
   * read.
   */
  revocationsApplied: () => Promise<void>
}): Introspect {
  return async (client, token) => {
    await parts.revocationsApplied()
    const claims = await parts.verifyIssuedToken(token)
    if (claims === undefined) return undefined
    const isFor = [claims.aud].flat().some((name) => client.audience.includes(name))
    const concerned = claims.client_id === client.id || isFor
    return concerned ? claims : undefined
  }
}
