import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { TokenResponse } from '../http/schemas.ts'
import type { Reauthenticate } from './reauthenticate.ts'
import { type RenewedReply, replyRenewed } from './renewed-token-reply.ts'

const Body = Type.Object(
  { password: Type.String({ minLength: 1, maxLength: 4096 }) },
  { additionalProperties: false, examples: [{ password: 'correct horse battery staple' }] },
)

/**
 * `POST /v1/reauthenticate`: the person shows the password again, without a new login. It answers the challenge
 * `insufficient_user_authentication` (RFC 9470).
 */
export function reauthenticateRoute(app: App, parts: RenewedReply & { readonly reauthenticate: Reauthenticate }): void {
  const { reauthenticate, refreshCookie } = parts
  app.post(
    '/v1/reauthenticate',
    {
      onRequest: refreshCookie.sameSiteOnly,
      config: {
        limit: 'password',
        errors: [
          'invalid_credentials',
          'refresh_cookie_missing',
          'cross_site_request',
          'store_unavailable',
          'signing_unavailable',
        ],
      },
      schema: {
        tags: ['Sessions'],
        summary: 'Show my password again: this session counts as a fresh login',
        body: Body,
        response: { 200: TokenResponse },
      },
    },
    async (request, reply) => {
      const { password } = request.body
      return replyRenewed(request, reply, parts, (caller, ...from) => reauthenticate(caller, password, ...from))
    },
  )
}
