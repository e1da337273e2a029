import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { OwnAccount } from '../accounts/own-account.ts'
import type { App } from '../http/app-type.ts'
import { isGone, requestSource } from '../http/request-source.ts'
import { TokenResponse } from '../http/schemas.ts'
import type { RefreshCookie } from './refresh-cookie.ts'
import { decodeRefreshToken } from './refresh-token.ts'
import type { RenewedSession } from './session.ts'
import type { IssuePair, RefreshKeys } from './token-pair.ts'
import { tokenReply } from './token-reply.ts'

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

interface Parts {
  readonly ownAccount: OwnAccount<RenewedSession>
  readonly issuePair: IssuePair
  readonly refreshKeys: RefreshKeys
  readonly refreshCookie: RefreshCookie
  /** Seconds. */
  readonly idleTtl: number
}

/**
 * `PUT /v1/me/password`: a new password. Every other session ends, and this one gets a new pair of tokens: whoever
 * holds an older refresh token of it can do nothing with it.
 */
export function changePasswordRoute(app: App, parts: Parts): void {
  const { ownAccount, issuePair, refreshCookie, idleTtl } = parts
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
      const { sub: accountId, sid: sessionId } = request.user
      const caller = { accountId, sessionId }
      const source = requestSource(request)
      const { session, subject } = await ownAccount.changePassword(caller, { current, next }, source, isGone(request))
      const pair = await issuePair(session, subject)
      return tokenReply(reply, pair, usesCookie(request, parts) ? { refreshCookie, maxAge: idleTtl } : undefined)
    },
  )
}

/** True when the request came with the refresh cookie of its own session. */
function usesCookie(request: FastifyRequest, { refreshCookie, refreshKeys }: Parts): boolean {
  const cookie = refreshCookie.read(request)
  const claim = cookie === undefined ? undefined : decodeRefreshToken(cookie, refreshKeys.current())
  return claim !== undefined && claim.sessionId === request.user.sid
}
