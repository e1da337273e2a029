import { Type } from '@sinclair/typebox'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import type { Disown } from './disown.ts'

const Body = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: 128, description: 'from the link of the message' }) },
  { additionalProperties: false, examples: [{ token: 'sot_SM5OMGyNf1qbnlEFiHcKLNPDHWeuvN3wdSCdgpdg5C8' }] },
)

/**
 * `POST /v1/notices/revoke`: "this was not me". It is a POST, sent by the page of the application: mail scanners open
 * links, and must not end anybody's sessions by that.
 */
export function disownRoute(app: App, { disown }: { disown: Disown }): void {
  app.post(
    '/v1/notices/revoke',
    {
      config: { auth: 'public', limit: 'store', errors: ['invalid_recovery_token', 'store_unavailable'] },
      schema: {
        tags: ['Recovery'],
        summary: 'This was not me: end every session and demand a recovery',
        description:
          'Takes the token from the link of a notice. Every session of the account ends, nobody can log in until a ' +
          'new password was set by a recovery, and the message for that is sent. The token of the message about a ' +
          'change of address also gives the account its former address back.',
        body: Body,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const language = request.headers['accept-language']
      await disown(request.body.token, { source: requestSource(request), language })
      return reply.code(204).send(null)
    },
  )
}
