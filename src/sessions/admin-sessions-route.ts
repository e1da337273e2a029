import { Type } from '@sinclair/typebox'
import { ADMIN_ROLE } from '../accounts/account.ts'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import type { AdministerSessions } from './administer-sessions.ts'
import { Sessions, sessionsReply } from './session-reply.ts'

const AccountId = Type.String({ minLength: 1, maxLength: 64, description: 'id of the account' })
const SessionId = Type.String({ minLength: 1, maxLength: 64, description: 'id of the session' })

/** `/v1/admin/accounts/:id/sessions`: what an admin sees and ends when a phone is stolen. */
export function adminSessionsRoutes(app: App, { administer }: { administer: AdministerSessions }): void {
  const tags = ['Admin']
  const demands = { roles: [ADMIN_ROLE], errors: ['not_found', 'store_unavailable'] } as const
  app.get(
    '/v1/admin/accounts/:id/sessions',
    {
      config: { ...demands, limit: 'store' },
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
      config: { ...demands, auth: 'live' },
      schema: {
        tags,
        summary: 'End one session of an account',
        params: Type.Object({ id: AccountId, sid: SessionId }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { id, sid } = request.params
      await administer.end(id, sid, { actorId: request.user.sub, source: requestSource(request) })
      return reply.code(204).send(null)
    },
  )
}
