import { type Static, Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import type { App } from '../http/app-type.ts'
import { isGone, requestSource } from '../http/request-source.ts'
import { Timestamp } from '../http/schemas.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import type { OwnAccount } from './own-account.ts'

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
  { $id: 'Me', description: 'What the access token says' },
)
const NewPassword = Type.Object(
  {
    current_password: Type.String({ minLength: 1, maxLength: 4096 }),
    new_password: Type.String({ minLength: 1, maxLength: 4096 }),
  },
  { additionalProperties: false },
)

/** An account can be deleted only this soon after a login (RFC 9470). */
const RECENT_LOGIN_SECONDS = 300

/** `GET /v1/me`, `PUT /v1/me/password`, `DELETE /v1/me`: the caller's own account. */
export function meRoutes(app: App, { ownAccount }: { ownAccount: OwnAccount }): void {
  const tags = ['Accounts']
  // Answered from the claims of the token alone: no store, no await.
  app.get(
    '/v1/me',
    { schema: { tags, summary: 'Read the claims of my access token', response: { 200: Me } } },
    ({ user }, reply) => {
      reply.send(toReply(user))
    },
  )

  app.put(
    '/v1/me/password',
    {
      config: {
        auth: 'live',
        limit: 'password',
        errors: ['invalid_credentials', 'password_unacceptable', 'password_changed_meanwhile'],
      },
      schema: {
        tags,
        summary: 'Change my password; every other session ends',
        body: NewPassword,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { current_password: current, new_password: next } = request.body
      const { sub: accountId, sid: sessionId } = request.user
      const passwords = { current, next }
      await ownAccount.changePassword({ accountId, sessionId }, passwords, requestSource(request), isGone(request))
      return reply.code(204).send(null)
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
  auth_time,
  exp,
}: AccessTokenClaims): Static<typeof Me> {
  return {
    sub,
    client_id,
    ...(sid !== undefined && { sid }),
    roles,
    scope,
    ...(auth_time !== undefined && { authenticated_at: toTimestamp(auth_time) }),
    expires_at: toTimestamp(exp),
  }
}
