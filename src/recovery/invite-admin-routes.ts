import { Type } from '@sinclair/typebox'
import { AccountWithStatus, Locale, Roles, withStatus } from '../accounts/account.ts'
import { actorOf } from '../administration/actor.ts'
import { adminOr } from '../administration/admin-scopes.ts'
import type { App } from '../http/app-type.ts'
import { Accepted } from '../http/schemas.ts'
import type { Invite } from './invite.ts'

const Params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64, description: 'id of the account' }) })
const Invitation = Type.Object(
  {
    email: Type.String({ minLength: 3, maxLength: 320 }),
    roles: Type.Optional(Roles),
    locale: Type.Optional(Locale),
  },
  { additionalProperties: false, examples: [{ email: 'ada@example.com', roles: ['support'], locale: 'de' }] },
)
const Invited = Type.Composite([AccountWithStatus], { $id: 'InvitedAccount', description: 'The account that was made' })

/** What admins do so that somebody gets in. No password is ever in an admin's hands. */
export function inviteAdminRoutes(app: App, { invite }: { invite: Invite }): void {
  const tags = ['Admin']
  const writes = { ...adminOr('signet:accounts:write'), auth: 'live' } as const
  app.post(
    '/v1/admin/accounts',
    {
      config: { ...writes, errors: ['email_taken'] },
      schema: {
        tags,
        summary: 'Create an account; its owner is invited',
        body: Invitation,
        response: { 201: Invited },
      },
    },
    async (request, reply) => reply.code(201).send(withStatus(await invite.create(request.body, actorOf(request)))),
  )
  app.post(
    '/v1/admin/accounts/:id/send-recovery',
    {
      config: { ...writes, errors: ['not_found'] },
      schema: {
        tags,
        summary: 'Send the owner a message to set a new password',
        params: Params,
        response: { 202: Accepted },
      },
    },
    async (request, reply) => {
      await invite.sendRecovery(request.params.id, actorOf(request))
      return reply.code(202).send({})
    },
  )
}
