import { type Static, Type } from '@sinclair/typebox'
import { actorOf } from '../administration/actor.ts'
import { adminOr } from '../administration/admin-scopes.ts'
import { toTimestamp } from '../clock.ts'
import type { App } from '../http/app-type.ts'
import { NextCursor, PageQuery, pageAfter, pageOf } from '../http/paging.ts'
import { Timestamp } from '../http/schemas.ts'
import type { AdministerClients } from './administer-clients.ts'
import { type Client, DEFAULT_OVERLAP_SECONDS, MAX_OVERLAP_SECONDS, NewClient, Status } from './client.ts'
import { type ClientDefaults, ClientReply, clientReply } from './client-reply.ts'

const Secret = Type.String({ description: 'shown only in this answer; absent for a client with public keys' })
const NewClientReply = Type.Composite([Type.Object({ client_secret: Type.Optional(Secret) }), ClientReply], {
  $id: 'NewClient',
  description: 'The client and its secret',
})
const ClientPage = Type.Object(
  {
    clients: Type.Array(ClientReply),
    next_cursor: NextCursor,
  },
  { $id: 'ClientPage', description: 'A page of clients, oldest first' },
)
const RotatedSecret = Type.Object(
  {
    client_id: Type.String(),
    client_secret: Secret,
    previous_secret_expires_at: Timestamp,
  },
  { $id: 'RotatedSecret', description: 'The new secret' },
)
const Query = Type.Object(PageQuery, { additionalProperties: false })
const Params = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64, description: '`client_id`' }) })
const Change = Type.Object({ status: Status }, { additionalProperties: false, examples: [{ status: 'disabled' }] })
const Rotation = Type.Object(
  {
    overlap: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_OVERLAP_SECONDS,
        description: 'seconds for which the previous secret stays valid; when absent, one day',
      }),
    ),
  },
  { additionalProperties: false, examples: [{ overlap: 3600 }] },
)

interface Parts {
  readonly administer: AdministerClients
  readonly defaults: ClientDefaults
}

type Reply = (client: Client) => Static<typeof ClientReply>

const tags = ['Admin']
const errors = ['not_found', 'store_unavailable'] as const
const reads = { ...adminOr('signet:clients:read'), limit: 'store', errors } as const
const writes = { ...adminOr('signet:clients:write'), auth: 'live', errors } as const

/**
 * `/v1/admin/clients`: for admins, and for machines with a scope. Routes that write are `live`: they check the rows of
 * the one who asks first.
 */
export function clientsAdminRoutes(app: App, { administer, defaults }: Parts): void {
  const reply: Reply = (client) => clientReply(client, defaults)
  readRoutes(app, administer, reply)
  lifeRoutes(app, administer, reply)
  secretRoute(app, administer)
}

function readRoutes(app: App, administer: AdministerClients, reply: Reply): void {
  app.get(
    '/v1/admin/clients',
    {
      config: { ...reads, errors: ['store_unavailable', 'validation_failed'] },
      schema: { tags, summary: 'List clients', querystring: Query, response: { 200: ClientPage } },
    },
    async ({ query }) => {
      const { page, next } = pageOf(await administer.page(pageAfter(query)), query)
      return { clients: page.map(reply), ...next }
    },
  )
  app.get(
    '/v1/admin/clients/:id',
    { config: reads, schema: { tags, summary: 'Read one client', params: Params, response: { 200: ClientReply } } },
    async ({ params }) => reply(await administer.client(params.id)),
  )
}

function lifeRoutes(app: App, administer: AdministerClients, reply: Reply): void {
  app.post(
    '/v1/admin/clients',
    {
      config: { ...writes, errors: ['store_unavailable'] },
      schema: { tags, summary: 'Create a client', body: NewClient, response: { 201: NewClientReply } },
    },
    async (request, answer) => {
      const { client, secret } = await administer.create(request.body, actorOf(request))
      return answer.code(201).send({ ...(secret !== undefined && { client_secret: secret }), ...reply(client) })
    },
  )
  app.patch(
    '/v1/admin/clients/:id',
    {
      config: writes,
      schema: {
        tags,
        summary: 'Disable or enable a client',
        params: Params,
        body: Change,
        response: { 200: ClientReply },
      },
    },
    async (request) => reply(await administer.setStatus(request.params.id, request.body.status, actorOf(request))),
  )
  app.delete(
    '/v1/admin/clients/:id',
    { config: writes, schema: { tags, summary: 'Delete a client', params: Params, response: { 204: Type.Null() } } },
    async (request, answer) => {
      await administer.remove(request.params.id, actorOf(request))
      return answer.code(204).send(null)
    },
  )
}

function secretRoute(app: App, administer: AdministerClients): void {
  app.post(
    '/v1/admin/clients/:id/rotate-secret',
    {
      config: { ...writes, errors: [...writes.errors, 'client_without_secret'] },
      schema: {
        tags,
        summary: 'Make a new secret for a client; the previous one stays valid for a while',
        params: Params,
        body: Type.Union([Rotation, Type.Null()]),
        response: { 200: RotatedSecret },
      },
    },
    async (request, answer) => {
      const { id } = request.params
      const overlap = request.body?.overlap ?? DEFAULT_OVERLAP_SECONDS
      const { secret, previousExpiresAt } = await administer.rotateSecret(id, overlap, actorOf(request))
      return answer.send({
        client_id: id,
        client_secret: secret,
        previous_secret_expires_at: toTimestamp(previousExpiresAt),
      })
    },
  )
}
