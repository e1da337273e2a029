import { Type } from '@sinclair/typebox'
import type { AuthenticateClient } from '../clients/authenticate-client.ts'
import { OAuthError } from '../errors/oauth-error.ts'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import { TokenResponse } from '../http/schemas.ts'
import { tokenReply } from '../sessions/token-reply.ts'
import { FIRST_PARTY_CLIENT } from '../tokens/issue.ts'
import type { ClientCredentialsGrant } from './client-credentials-grant.ts'
import { credentialOf, formOf, publicCredentialOf } from './client-form.ts'
import type { RefreshGrant } from './refresh-grant.ts'

const Form = formOf(
  {
    grant_type: Type.String({ maxLength: 255, description: '`client_credentials` or `refresh_token`' }),
    scope: Type.Optional(
      Type.String({ maxLength: 2048, description: 'space-separated; when absent, all that is allowed' }),
    ),
    resource: Type.Optional(
      Type.Array(Type.String({ maxLength: 255 }), { maxItems: 8, description: 'RFC 8707; may be repeated' }),
    ),
    refresh_token: Type.Optional(Type.String({ maxLength: 512 })),
  },
  { grant_type: 'client_credentials', scope: 'invoices:read' },
)

interface Parts {
  readonly authenticate: AuthenticateClient
  readonly clientCredentials: ClientCredentialsGrant
  readonly refreshGrant: RefreshGrant
}

/** `POST /oauth/token` (RFC 6749 section 3.2). */
export function tokenRoute(app: App, { authenticate, clientCredentials, refreshGrant }: Parts): void {
  app.post(
    '/oauth/token',
    {
      config: {
        auth: 'public',
        limit: 'token',
        oauthErrors: [
          'invalid_request',
          'invalid_client',
          'invalid_grant',
          'invalid_scope',
          'invalid_target',
          'unsupported_grant_type',
        ],
      },
      schema: {
        tags: ['Integrators'],
        summary: 'OAuth token endpoint: client credentials and refresh',
        consumes: ['application/x-www-form-urlencoded'],
        body: Form,
        response: { 200: TokenResponse },
      },
    },
    async (request, reply) => {
      const { grant_type: grant, scope, resource: resources = [], refresh_token: refreshToken } = request.body
      const source = requestSource(request)
      if (grant === 'client_credentials') {
        const client = await authenticate.confidential(credentialOf(request, request.body), source)
        const token = await clientCredentials(client, { scope, resources }, source)
        const { accessToken: access_token, expiresIn: expires_in, scope: granted } = token
        return { access_token, token_type: 'Bearer' as const, expires_in, scope: granted }
      }
      if (grant !== 'refresh_token') throw new OAuthError('unsupported_grant_type', 'another grant type')
      if (refreshToken === undefined)
        throw new OAuthError('invalid_request', 'no refresh token', 'Missing or not acceptable: refresh_token.')
      const client = await authenticate.any(publicCredentialOf(request, request.body), source)
      const pair = await refreshGrant(client?.id ?? FIRST_PARTY_CLIENT, refreshToken, { scope, resources }, source)
      return tokenReply(reply, pair, undefined)
    },
  )
}
