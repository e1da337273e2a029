import { Type } from '@sinclair/typebox'
import { AppError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import { TokenResponse } from '../http/schemas.ts'
import type { Refresh } from './refresh.ts'
import type { RefreshCookie } from './refresh-cookie.ts'
import { tokenReply } from './token-reply.ts'

const Body = Type.Object(
  {
    refresh_token: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'absent with the cookie transport' }),
    ),
  },
  { additionalProperties: false },
)

/** `POST /v1/refresh`: exchanges a refresh token, from the body or the cookie, for the next pair of tokens. */
export function refreshRoute(
  app: App,
  { refresh, refreshCookie, idleTtl }: { refresh: Refresh; refreshCookie: RefreshCookie; idleTtl: number },
): void {
  app.post(
    '/v1/refresh',
    {
      onRequest: refreshCookie.sameSiteOnly,
      config: {
        auth: 'public',
        limit: 'refresh',
        errors: ['invalid_refresh_token', 'cross_site_request', 'store_unavailable', 'signing_unavailable'],
      },
      schema: {
        tags: ['Sessions'],
        summary: 'Refresh the tokens',
        body: Type.Union([Body, Type.Null()]),
        response: { 200: TokenResponse },
      },
    },
    async (request, reply) => {
      const fromBody = request.body?.refresh_token
      const token = fromBody ?? refreshCookie.read(request)
      if (token === undefined) throw new AppError('invalid_refresh_token', { reason: 'no refresh token was sent' })
      const pair = await refresh(token, requestSource(request))
      return tokenReply(reply, pair, fromBody === undefined ? { refreshCookie, maxAge: idleTtl } : undefined)
    },
  )
}
