import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { requestOrigin } from '../http/request-origin.ts'
import { TokenResponse } from '../http/schemas.ts'
import type { Login } from './login.ts'

const Body = Type.Object(
  {
    email: Type.String({ minLength: 1, maxLength: 320 }),
    password: Type.String({ minLength: 1, maxLength: 4096 }),
  },
  { additionalProperties: false },
)

/** `POST /v1/login`: a password for an access token. */
export function loginRoute(app: App, { login }: { login: Login }): void {
  app.post(
    '/v1/login',
    {
      config: { auth: 'public', errors: ['invalid_credentials', 'overloaded', 'store_unavailable', 'signing_unavailable'] },
      schema: { tags: ['Sessions'], summary: 'Log in', body: Body, response: { 200: TokenResponse } },
    },
    async (request, reply) => {
      const { token, expiresIn } = await login(request.body, requestOrigin(request))
      reply.header('cache-control', 'no-store')
      return { access_token: token, token_type: 'Bearer' as const, expires_in: expiresIn, scope: '' }
    },
  )
}
