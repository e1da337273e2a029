import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import type { EndSession } from './end-session.ts'
import { createLogoutCaller, type LogoutCallerParts } from './logout-caller.ts'

const Body = Type.Object(
  {
    scope: Type.Optional(Type.Union([Type.Literal('session'), Type.Literal('others'), Type.Literal('all')])),
    refresh_token: Type.Optional(
      Type.String({ minLength: 1, maxLength: 512, description: 'for a caller whose access token is over' }),
    ),
  },
  { additionalProperties: false, examples: [{ scope: 'session' }] },
)

/**
 * `POST /v1/logout`: ends this session, the others, or all. When it answers, this node refuses their tokens.
 *
 * The caller is known by the access token or, when that is over, by the refresh token: a logout must not wait for a
 * refresh.
 */
export function logoutRoute(app: App, parts: LogoutCallerParts & { readonly endSession: EndSession }): void {
  const { endSession, refreshCookie } = parts
  const callerOf = createLogoutCaller(parts)
  app.post(
    '/v1/logout',
    {
      onRequest: refreshCookie.sameSiteOnly,
      config: {
        auth: 'public',
        limit: 'store',
        errors: [
          'missing_token',
          'invalid_token',
          'token_expired',
          'token_stale',
          'invalid_request',
          'invalid_refresh_token',
          'cross_site_request',
          'revocations_stale',
          'store_unavailable',
          'signing_unavailable',
        ],
      },
      schema: {
        tags: ['Sessions'],
        summary: 'Log out',
        description:
          'Needs an access token; or, when it is over, the refresh token of the session, in the cookie or the body.',
        body: Type.Union([Body, Type.Null()]),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const { scope = 'session', refresh_token: fromBody } = request.body ?? {}
      if (refreshCookie.state(request) === 'twice') refreshCookie.clear(reply)
      const refreshToken = fromBody ?? refreshCookie.read(request)
      const caller = await callerOf(request, refreshToken, scope)
      if (caller !== undefined) await endSession.logout(caller, scope, requestSource(request))
      if (scope !== 'others') refreshCookie.clear(reply)
      return reply.code(204).send(null)
    },
  )
}
