import { OAuthError } from '../errors/oauth-error.ts'
import type { App } from '../http/app-type.ts'

/**
 * `GET /oauth/authorize`: the authorization endpoint of a server that issues no codes. It exists because clients of MCP
 * read no server metadata without it (their schema demands `authorization_endpoint` also for `client_credentials`).
 *
 * No client has a registered redirect URI, so every request is answered here and none is redirected (RFC 6749 section
 * 4.1.2.1). Nothing that was sent is read.
 */
export function authorizeRoute(app: App): void {
  app.get(
    '/oauth/authorize',
    {
      config: { auth: 'public', oauthErrors: ['unsupported_response_type'] },
      schema: { hide: true, summary: 'OAuth authorization endpoint: refuses every request' },
    },
    () => {
      throw new OAuthError('unsupported_response_type', 'an authorization request')
    },
  )
}
