import { type Static, Type } from '@sinclair/typebox'
import { type Clock, toTimestamp } from '../clock.ts'
import type { App } from '../http/app-type.ts'
import { NextCursor, PageQuery, pageAfter, pageOf } from '../http/paging.ts'
import { requestSource } from '../http/request-source.ts'
import { authorize } from '../tokens/authorize.ts'
import {
  type Account,
  AccountReply,
  ADMIN_ROLE,
  RECENT_LOGIN_SECONDS,
  Roles,
  Status,
  storedSpellings,
} from './account.ts'
import type { Administer } from './administer.ts'

const AdminAccount = Type.Composite([AccountReply, Type.Object({ status: Status })], {
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

/** `/v1/admin/accounts`: for the role `admin`. Routes that write are `live`: they check the admin's own rows first. */
export function adminRoutes(app: App, { administer, now }: { administer: Administer; now: Clock }): void {
  const tags = ['Admin']
  const roles = [ADMIN_ROLE]
  const errors = ['not_found', 'store_unavailable'] as const
  const by = (request: Parameters<typeof requestSource>[0]) => ({
    actorId: request.user.sub,
    source: requestSource(request),
  })

  app.get(
    '/v1/admin/accounts',
    {
      config: { roles, limit: 'store', errors: ['store_unavailable'] },
      schema: { tags, summary: 'List accounts', querystring: Query, response: { 200: AccountPage } },
    },
    async ({ query: { email, ...asked } }) => {
      const emails = email === undefined ? [undefined] : storedSpellings(email)
      const found = await Promise.all(emails.map((one) => administer.page({ email: one, ...pageAfter(asked) })))
      const { page, next } = pageOf(found.flat(), asked)
      return { accounts: page.map(toReply), ...next }
    },
  )
  app.get(
    '/v1/admin/accounts/:id',
    {
      config: { roles, limit: 'store', errors },
      schema: { tags, summary: 'Read one account', params: Params, response: { 200: AdminAccount } },
    },
    async ({ params }) => toReply(await administer.account(params.id)),
  )
  app.patch(
    '/v1/admin/accounts/:id',
    {
      config: { auth: 'live', roles, errors: [...errors, 'last_admin'] },
      schema: {
        tags,
        summary: 'Suspend or activate an account, or set its roles',
        params: Params,
        body: Change,
        response: { 200: AdminAccount },
      },
    },
    async (request) => toReply(await administer.change(request.params.id, request.body, by(request))),
  )
  app.post(
    '/v1/admin/accounts/:id/revoke',
    {
      config: { auth: 'live', roles, errors },
      schema: { tags, summary: 'End every session of an account', params: Params, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await administer.revoke(request.params.id, by(request))
      return reply.code(204).send(null)
    },
  )
  app.delete(
    '/v1/admin/accounts/:id',
    {
      config: { auth: 'live', roles, errors: [...errors, 'last_admin', 'insufficient_user_authentication'] },
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
      await administer.remove(id, by(request))
      return reply.code(204).send(null)
    },
  )
}

function toReply({ id, email, roles, status, createdAt }: Account): Static<typeof AdminAccount> {
  return { id, email, roles: [...roles], status, created_at: toTimestamp(createdAt) }
}
