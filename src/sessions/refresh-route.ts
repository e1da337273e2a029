import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import { TokenResponse } from '../http/schemas.ts'
import type { PredatesHostCookie } from './former-cookie.ts'
import type { Refresh } from './refresh.ts'
import type { RefreshCookie } from './refresh-cookie.ts'
import { tokenReply } from './token-reply.ts'

const Body = Type.Object(
  {
    refresh_token: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'absent with the cookie transport' }),
    ),
  },
  { additionalProperties: false, examples: [{ refresh_token: 'srt_…' }] },
)

interface Parts {
  readonly refresh: Refresh
  readonly refreshCookie: RefreshCookie
  readonly predatesHostCookie: PredatesHostCookie
  /** Seconds. */
  readonly idleTtl: number
}

/** `POST /v1/refresh`: exchanges a refresh token, from the body or the cookie, for the next pair of tokens. */
export function refreshRoute(app: App, parts: Parts): void {
  const { refresh, refreshCookie, idleTtl } = parts
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
      const token = fromBody ?? (await tokenOfCookie(request, reply, parts))
      const pair = await refresh(token, requestSource(request))
      return tokenReply(reply, pair, fromBody === undefined ? { refreshCookie, maxAge: idleTtl } : undefined)
    },
  )
}

/** @throws AppError `invalid_refresh_token`; a cookie that nobody can trust is cleared */
async function tokenOfCookie(
  request: FastifyRequest,
  reply: FastifyReply,
  { refreshCookie, predatesHostCookie }: Parts,
): Promise<string> {
  const state = refreshCookie.state(request)
  const token = refreshCookie.read(request)
  if (state === 'absent') throw new AppError('invalid_refresh_token', { reason: 'no refresh token was sent' })
  if (token === undefined) {
    refreshCookie.clear(reply)
    throw new AppError('invalid_refresh_token', { reason: 'the cookie is there twice' })
  }
  if (state === 'former' && !(await predatesHostCookie(token))) {
    refreshCookie.clear(reply)
    throw new AppError('invalid_refresh_token', { reason: 'the former cookie, with a token that was never in it' })
  }
  return token
}
