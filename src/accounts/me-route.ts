import { type Static, Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import type { App } from '../http/app-type.ts'
import { requestSource } from '../http/request-source.ts'
import { Timestamp } from '../http/schemas.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import { RECENT_LOGIN_SECONDS } from './account.ts'
import type { OwnAccount } from './own-account.ts'

const Me = Type.Object(
  {
    sub: Type.String({ description: 'the account' }),
    client_id: Type.String(),
    sid: Type.Optional(Type.String({ description: 'the session' })),
    roles: Type.Array(Type.String()),
    scope: Type.String(),
    email_verified: Type.Optional(Type.Boolean({ description: 'with `EMAIL_VERIFIED_CLAIM=on`' })),
    authenticated_at: Type.Optional(Timestamp),
    expires_at: Timestamp,
  },
  { $id: 'Me', description: 'What the access token says' },
)

/** `GET /v1/me`, `DELETE /v1/me`: the caller's own account. */
export function meRoutes(app: App, { ownAccount }: { ownAccount: Pick<OwnAccount<unknown>, 'remove'> }): void {
  const tags = ['Accounts']
  // Answered from the claims of the token alone: no store, no await.
  app.get(
    '/v1/me',
    { schema: { tags, summary: 'Read the claims of my access token', response: { 200: Me } } },
    ({ user }, reply) => {
      reply.send(toReply(user))
    },
  )

  app.delete(
    '/v1/me',
    {
      config: { auth: 'live', maxAuthAge: RECENT_LOGIN_SECONDS, errors: ['last_admin'] },
      schema: { tags, summary: 'Delete my account', response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      const { sub: accountId, sid: sessionId } = request.user
      await ownAccount.remove({ accountId, sessionId }, requestSource(request))
      return reply.code(204).send(null)
    },
  )
}

function toReply({
  sub,
  client_id,
  sid,
  roles = [],
  scope = '',
  email_verified,
  auth_time,
  exp,
}: AccessTokenClaims): Static<typeof Me> {
  return {
    sub,
    client_id,
    ...(sid !== undefined && { sid }),
    roles,
    scope,
    ...(email_verified !== undefined && { email_verified }),
    ...(auth_time !== undefined && { authenticated_at: toTimestamp(auth_time) }),
    expires_at: toTimestamp(exp),
  }
}
