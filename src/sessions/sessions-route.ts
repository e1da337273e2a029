import { Type } from '@sinclair/typebox'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import type { EndSession } from './end-session.ts'
import type { Session } from './session.ts'
import { Sessions, sessionsReply } from './session-reply.ts'

const Params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64, description: 'id of the session' }) })

interface Parts {
  readonly list: (accountId: string, now: number) => Promise<Session[]>
  readonly endSession: EndSession
  readonly now: Clock
}

/** `GET /v1/sessions` lists the caller's live sessions, `DELETE /v1/sessions/:id` ends one of them. */
export function sessionsRoutes(app: App, { list, endSession, now }: Parts): void {
  const tags = ['Sessions']
  app.get(
    '/v1/sessions',
    {
      config: { limit: 'store', errors: ['store_unavailable'] },
      schema: { tags, summary: 'List my sessions', response: { 200: Sessions } },
    },
    async ({ user }) => sessionsReply(await list(user.sub, now()), user.sid),
  )
  app.delete(
    '/v1/sessions/:id',
    {
      config: { limit: 'store', errors: ['not_found', 'store_unavailable'] },
      schema: { tags, summary: 'End one of my sessions', params: Params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      const ended = await endSession.one({ accountId: request.user.sub }, request.params.id, requestSource(request))
      if (!ended) throw new AppError('not_found') // also for a session of somebody else
      return reply.code(204).send(null)
    },
  )
}
