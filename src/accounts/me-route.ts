import { Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import type { App } from '../http/app-type.ts'
import { Timestamp } from '../http/schemas.ts'

const Me = Type.Object(
  {
    sub: Type.String({ description: 'the account' }),
    client_id: Type.String(),
    sid: Type.Optional(Type.String({ description: 'the session' })),
    roles: Type.Array(Type.String()),
    scope: Type.String(),
    authenticated_at: Type.Optional(Timestamp),
    expires_at: Timestamp,
  },
  { $id: 'Me' },
)

/** `GET /v1/me`: the caller, from the token's claims alone. */
export function meRoute(app: App): void {
  app.get(
    '/v1/me',
    { schema: { tags: ['Accounts'], summary: 'Who am I', response: { 200: Me } } },
    ({ user }, reply) => {
      reply.send({
        sub: user.sub,
        client_id: user.client_id,
        ...(user.sid !== undefined && { sid: user.sid }),
        roles: user.roles ?? [],
        scope: user.scope ?? '',
        ...(user.auth_time !== undefined && { authenticated_at: toTimestamp(user.auth_time) }),
        expires_at: toTimestamp(user.exp),
      })
    },
  )
}
