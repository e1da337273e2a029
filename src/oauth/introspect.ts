import { audienceOf, type Client } from '../clients/client.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { VerifyIssuedToken } from './verify-issued-token.ts'

export type Introspect = (client: Client, token: string) => Promise<AccessTokenClaims | undefined>

/**
 * Token introspection (RFC 7662), for callers that can't verify a token themselves.
 *
 * @returns a function that gives the claims of a token that is good now and concerns the caller: it was issued to him, or is for
 *   one of his audiences. Undefined for every other (section 2.2: he learns nothing of it). Refresh tokens concern nobody but our
 *   own public client, which can't ask.
 */
export function createIntrospect(parts: {
  verifyIssuedToken: VerifyIssuedToken
  /** Resolves when everything that was withdrawn before, on any node, is refused by this one. Rejects when the store can't be read. */
  revocationsApplied: () => Promise<void>
  /** Of the server, for clients without one of their own. */
  audience: readonly string[]
}): Introspect {
  return async (client, token) => {
    await parts.revocationsApplied()
    const claims = parts.verifyIssuedToken(token)
    if (claims === undefined) return undefined
    const audience = audienceOf(client, parts.audience)
    const concerned = claims.client_id === client.id || [claims.aud].flat().some((name) => audience.includes(name))
    return concerned ? claims : undefined
  }
}
