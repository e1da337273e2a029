import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { isGone, requestSource } from '../http/request-source.ts'
import { TokenResponse } from '../http/schemas.ts'
import type { Login } from './login.ts'
import type { RefreshCookie } from './refresh-cookie.ts'
import { tokenReply } from './token-reply.ts'

const Body = Type.Object(
  {
    email: Type.String({ minLength: 1, maxLength: 320 }),
    password: Type.String({ minLength: 1, maxLength: 4096 }),
    transport: Type.Optional(
      Type.Union([Type.Literal('body'), Type.Literal('cookie')], {
        description: '`cookie`: the refresh token comes in an HttpOnly cookie instead of the body',
      }),
    ),
  },
  {
    additionalProperties: false,
    examples: [{ email: 'ada@example.com', password: 'correct horse battery staple' }],
  },
)

/** `POST /v1/login`: exchanges email and password for a pair of tokens. */
export function loginRoute(
  app: App,
  { login, refreshCookie, idleTtl }: { login: Login; refreshCookie: RefreshCookie; idleTtl: number },
): void {
  app.post(
    '/v1/login',
    {
      config: {
        auth: 'public',
        limit: 'login',
        errors: [
          'invalid_credentials',
          'email_unverified',
          'recovery_required',
          'store_unavailable',
          'signing_unavailable',
        ],
      },
      schema: { tags: ['Sessions'], summary: 'Log in', body: Body, response: { 200: TokenResponse } },
    },
    async (request, reply) => {
      const { transport } = request.body
      const pair = await login(request.body, requestSource(request), isGone(request))
      return tokenReply(reply, pair, transport === 'cookie' ? { refreshCookie, maxAge: idleTtl } : undefined)
    },
  )
}
