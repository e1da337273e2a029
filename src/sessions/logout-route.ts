import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import type { EndSession } from './end-session.ts'
import type { RefreshCookie } from './refresh-cookie.ts'

const Body = Type.Object(
  { scope: Type.Optional(Type.Union([Type.Literal('session'), Type.Literal('others'), Type.Literal('all')])) },
  { additionalProperties: false, examples: [{ scope: 'session' }] },
)

/** `POST /v1/logout`: ends this session, the others, or all. When it answers, this node refuses their tokens. */
export function logoutRoute(
  app: App,
  { endSession, refreshCookie }: { endSession: EndSession; refreshCookie: RefreshCookie },
): void {
  app.post(
    '/v1/logout',
    {
      onRequest: refreshCookie.sameSiteOnly,
      config: { limit: 'store', errors: ['cross_site_request', 'store_unavailable'] },
      schema: {
        tags: ['Sessions'],
        summary: 'Log out',
        body: Type.Union([Body, Type.Null()]),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const scope = request.body?.scope ?? 'session'
      const { sub: accountId, sid: sessionId } = request.user
      await endSession.logout({ accountId, sessionId }, scope, requestSource(request))
      if (scope !== 'others') refreshCookie.clear(reply)
      return reply.code(204).send(null)
    },
  )
}
