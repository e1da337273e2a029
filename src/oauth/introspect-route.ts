import { Type } from '@sinclair/typebox'
import type { AuthenticateClient } from '../clients/authenticate-client.ts'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import { AccessTokenClaims } from '../tokens/claims-schema.ts'
import { credentialOf, formOf } from './client-form.ts'
import type { Introspect } from './introspect.ts'

const Form = formOf(
  {
    token: Type.String({ description: 'an access token' }),
    token_type_hint: Type.Optional(Type.String({ description: 'not needed' })),
  },
  { token: 'eyJ…' },
)
const Introspection = Type.Composite(
  [
    Type.Object({ active: Type.Boolean(), token_type: Type.Optional(Type.Literal('Bearer')) }),
    Type.Partial(AccessTokenClaims),
  ],
  { $id: 'Introspection', description: 'RFC 7662 section 2.2, with the other claims of the token' },
)

/** `POST /oauth/introspect` (RFC 7662): is this token good now? */
export function introspectRoute(app: App, parts: { authenticate: AuthenticateClient; introspect: Introspect }): void {
  app.post(
    '/oauth/introspect',
    {
      config: { auth: 'public', limit: 'introspect', oauthErrors: ['invalid_request', 'invalid_client'] },
      schema: {
        tags: ['Integrators'],
        summary: 'Check whether a token is valid now',
        consumes: ['application/x-www-form-urlencoded'],
        body: Form,
        response: { 200: Introspection },
      },
    },
    async (request) => {
      const client = await parts.authenticate.confidential(credentialOf(request, request.body), requestSource(request))
      const claims = await parts.introspect(client, request.body.token)
      return claims === undefined ? { active: false } : { active: true, token_type: 'Bearer' as const, ...claims }
    },
  )
}
