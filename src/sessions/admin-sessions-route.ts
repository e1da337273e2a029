import { Type } from '@sinclair/typebox'
import { actorOf } from '../administration/actor.ts'
import { adminOr } from '../administration/admin-scopes.ts'
import type { App } from '../http/app-type.ts'
import type { AdministerSessions } from './administer-sessions.ts'
import { Sessions, sessionsReply } from './session-reply.ts'

const AccountId = Type.String({ minLength: 1, maxLength: 64, description: 'id of the account' })
const SessionId = Type.String({ minLength: 1, maxLength: 64, description: 'id of the session' })

/** `/v1/admin/accounts/:id/sessions`: what an admin sees and ends when a phone is stolen. */
export function adminSessionsRoutes(app: App, { administer }: { administer: AdministerSessions }): void {
  const tags = ['Admin']
  const errors = ['not_found', 'store_unavailable'] as const
  app.get(
    '/v1/admin/accounts/:id/sessions',
    {
      config: { ...adminOr('signet:accounts:read'), limit: 'store', errors },
      schema: {
        tags,
        summary: 'List the live sessions of an account',
        params: Type.Object({ id: AccountId }),
        response: { 200: Sessions },
      },
    },
    async ({ params, user }) => sessionsReply(await administer.list(params.id), user.sid),
  )
  app.delete(
    '/v1/admin/accounts/:id/sessions/:sid',
    {
      config: { ...adminOr('signet:accounts:write'), auth: 'live', errors },
      schema: {
        tags,
        summary: 'End one session of an account',
        params: Type.Object({ id: AccountId, sid: SessionId }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { id, sid } = request.params
      await administer.end(id, sid, actorOf(request))
      return reply.code(204).send(null)
    },
  )
}
