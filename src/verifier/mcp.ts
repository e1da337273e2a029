import { AppError, errorRow } from '../errors/app-error.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { Verifier } from './verifier.ts'

/** `AuthInfo` of the SDK of MCP: `req.auth` of a request, and `authInfo` of a tool. */
export interface McpAuthInfo {
  token: string
  clientId: string
  scopes: string[]
  /** Epoch seconds. */
  expiresAt: number
  /** This service, if the token is for it: what `expectedResource` of `requireBearerAuth` compares. */
  resource?: URL
  /** The verified claims, frozen. */
  extra: { claims: AccessTokenClaims }
}

export interface McpOptions {
  /**
   * The SDK's own error for a refused token, because it answers any other with a 500: for
   * `@modelcontextprotocol/sdk` it is `(text) => new InvalidTokenError(text)`, for `@modelcontextprotocol/server` it is
   * `(text) => new OAuthError(OAuthErrorCode.InvalidToken, text)`.
   */
  readonly invalidToken: (text: string) => Error
  /** The URL of this service. Default: the option `resource` of the verifier. */
  readonly resource?: string
}

/**
 * The `verifier` of the SDK's `requireBearerAuth`: an MCP server behind it takes the tokens that `verifier` takes.
 *
 * @returns an object whose `verifyAccessToken` rejects with `invalidToken` where the answer is 401. Other errors, for
 *   example `keys_unavailable`, stay as they are, and the SDK answers 500
 * @throws TypeError without `invalidToken`
 */
export function mcpTokenVerifier(
  verifier: Pick<Verifier, 'verify' | 'protectedResource'>,
  options: McpOptions,
): { verifyAccessToken(token: string): Promise<McpAuthInfo> } {
  if (typeof options?.invalidToken !== 'function') throw new TypeError('invalidToken: a function that makes an error')
  const resource = options.resource ?? verifier.protectedResource()?.body.resource
  return {
    async verifyAccessToken(token) {
      const claims = await verifier.verify(token).catch((error) => {
        if (!(error instanceof AppError) || error.status !== 401) throw error
        throw options.invalidToken(errorRow(error.code).title) // the cause of the refusal is for the log
      })
      const { client_id: clientId, scope, exp: expiresAt } = claims
      const isOurs = resource !== undefined && [claims.aud].flat().includes(resource)
      return {
        token,
        clientId,
        scopes: scope?.split(' ').filter(Boolean) ?? [],
        expiresAt,
        ...(isOurs && { resource: new URL(resource) }),
        extra: { claims },
      }
    },
  }
}
