import { Type } from '@sinclair/typebox'
import type { AuthenticateClient } from '../clients/authenticate-client.ts'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import { FIRST_PARTY_CLIENT } from '../tokens/issue.ts'
import { formOf, publicCredentialOf } from './client-form.ts'
import type { Revoke } from './revoke.ts'

const Form = formOf(
  {
    token: Type.String({ description: 'a refresh token or an access token' }),
    token_type_hint: Type.Optional(Type.String({ description: 'not needed: the server recognises the kind of token' })),
  },
  { token: 'eyJ…' },
)

/** `POST /oauth/revoke` (RFC 7009). The answer is 200 also for a text that is no token: it can't be used either way. */
export function revokeRoute(app: App, parts: { authenticate: AuthenticateClient; revoke: Revoke }): void {
  app.post(
    '/oauth/revoke',
    {
      config: {
        auth: 'public',
        limit: 'token',
        oauthErrors: ['invalid_request', 'invalid_client', 'unauthorized_client'],
      },
      schema: {
        tags: ['Integrators'],
        summary: 'Revoke a token',
        consumes: ['application/x-www-form-urlencoded'],
        body: Form,
        response: { 200: { description: 'The token is refused from now on', type: 'null' } },
      },
    },
    async (request, reply) => {
      const source = requestSource(request)
      const client = await parts.authenticate.any(publicCredentialOf(request, request.body), source)
      await parts.revoke(client?.id ?? FIRST_PARTY_CLIENT, request.body.token, source)
      return reply.send('' as never) // RFC 7009 section 2.2: the status is the whole answer
    },
  )
}
