import { Type } from '@sinclair/typebox'
import { actorOf } from '../administration/actor.ts'
import { adminOr } from '../administration/admin-scopes.ts'
import type { Clock } from '../clock.ts'
import type { App } from '../http/app-type.ts'
import { NextCursor, PageQuery, pageAfter, pageOf } from '../http/paging.ts'
import { authorize } from '../tokens/authorize.ts'
import { AccountWithStatus, RECENT_LOGIN_SECONDS, Roles, Status, storedSpellings, withStatus } from './account.ts'
import type { Administer } from './administer.ts'

const AdminAccount = Type.Composite([AccountWithStatus], {
  $id: 'AdminAccount',
  description: 'An account as an admin sees it',
})
const AccountPage = Type.Object(
  {
    accounts: Type.Array(AdminAccount),
    next_cursor: NextCursor,
  },
  { $id: 'AccountPage', description: 'Accounts, the oldest first' },
)
const Query = Type.Object(
  {
    email: Type.Optional(Type.String({ maxLength: 320, description: 'only the account with this email' })),
    ...PageQuery,
  },
  { additionalProperties: false },
)
const Params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64, description: 'id of the account' }) })
const Change = Type.Object(
  { status: Type.Optional(Status), roles: Type.Optional(Roles) },
  { additionalProperties: false, minProperties: 1, examples: [{ status: 'suspended' }] },
)

/**
 * `/v1/admin/accounts`: for admins, and for machines with a scope. Routes that write are `live`: they check the rows of
 * the one who asks first.
 */
export function adminRoutes(app: App, { administer, now }: { administer: Administer; now: Clock }): void {
  const tags = ['Admin']
  const reads = { ...adminOr('signet:accounts:read'), limit: 'store' } as const
  const writes = { ...adminOr('signet:accounts:write'), auth: 'live' } as const
  const errors = ['not_found', 'store_unavailable'] as const

  app.get(
    '/v1/admin/accounts',
    {
      config: { ...reads, errors: ['store_unavailable'] },
      schema: { tags, summary: 'List accounts', querystring: Query, response: { 200: AccountPage } },
    },
    async ({ query: { email, ...asked } }) => {
      const emails = email === undefined ? [undefined] : storedSpellings(email)
      const found = await Promise.all(emails.map((one) => administer.page({ email: one, ...pageAfter(asked) })))
      const { page, next } = pageOf(found.flat(), asked)
      return { accounts: page.map(withStatus), ...next }
    },
  )
  app.get(
    '/v1/admin/accounts/:id',
    {
      config: { ...reads, errors },
      schema: { tags, summary: 'Read one account', params: Params, response: { 200: AdminAccount } },
    },
    async ({ params }) => withStatus(await administer.account(params.id)),
  )
  app.patch(
    '/v1/admin/accounts/:id',
    {
      config: { ...writes, errors: [...errors, 'last_admin'] },
      schema: {
        tags,
        summary: 'Suspend or activate an account, or set its roles',
        params: Params,
        body: Change,
        response: { 200: AdminAccount },
      },
    },
    async (request) => withStatus(await administer.change(request.params.id, request.body, actorOf(request))),
  )
  app.post(
    '/v1/admin/accounts/:id/revoke',
    {
      config: { ...writes, errors },
      schema: { tags, summary: 'End every session of an account', params: Params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await administer.revoke(request.params.id, actorOf(request))
      return reply.code(204).send(null)
    },
  )
  app.delete(
    '/v1/admin/accounts/:id',
    {
      config: { ...writes, errors: [...errors, 'last_admin', 'insufficient_user_authentication'] },
      schema: {
        tags,
        summary: 'Delete an account',
        description: `The own one only ${RECENT_LOGIN_SECONDS} seconds after a login at most, as \`DELETE /v1/me\`.`,
        params: Params,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      if (id === request.user.sub) authorize(request.user, { maxAuthAge: RECENT_LOGIN_SECONDS }, now)
      await administer.remove(id, actorOf(request))
      return reply.code(204).send(null)
    },
  )
}
