import { Type } from '@sinclair/typebox'
import type { OwnAccount } from '../accounts/own-account.ts'
import type { App } from '../http/app-type.ts'
import { TokenResponse } from '../http/schemas.ts'
import { type RenewedReply, replyRenewed } from './renewed-token-reply.ts'
import type { RenewedSession } from './session.ts'

const Body = Type.Object(
  {
    current_password: Type.String({ minLength: 1, maxLength: 4096 }),
    new_password: Type.String({ minLength: 1, maxLength: 4096 }),
  },
  {
    additionalProperties: false,
    examples: [
      { current_password: 'correct horse battery staple', new_password: 'a longer horse and a second battery staple' },
    ],
  },
)

interface Parts extends RenewedReply {
  readonly ownAccount: OwnAccount<RenewedSession>
}

/**
 * `PUT /v1/me/password`: a new password. Every other session ends, and this one gets a new pair of tokens: whoever
 * holds an older refresh token of it can do nothing with it.
 */
export function changePasswordRoute(app: App, parts: Parts): void {
  const { ownAccount, refreshCookie } = parts
  app.put(
    '/v1/me/password',
    {
      onRequest: refreshCookie.sameSiteOnly,
      config: {
        auth: 'live',
        limit: 'password',
        errors: [
          'invalid_credentials',
          'password_unacceptable',
          'password_changed_meanwhile',
          'refresh_cookie_missing',
          'cross_site_request',
          'signing_unavailable',
        ],
      },
      schema: {
        tags: ['Accounts'],
        summary: 'Change my password; every other session ends',
        body: Body,
        response: { 200: TokenResponse },
      },
    },
    async (request, reply) => {
      const { current_password: current, new_password: next } = request.body
      return replyRenewed(request, reply, parts, (caller, ...from) =>
        ownAccount.changePassword(caller, { current, next }, ...from),
      )
    },
  )
}
