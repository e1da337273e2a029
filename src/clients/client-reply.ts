import { type Static, Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import { Timestamp } from '../http/schemas.ts'
import { AuthMethod, audienceOf, type Client, Status } from './client.ts'

/** The members of a client that a reply may contain, with the names of RFC 7591. */
export const ClientReply = Type.Object(
  {
    client_id: Type.String(),
    name: Type.String(),
    scope: Type.String({ description: 'scopes it may ask for, space-separated' }),
    audience: Type.Array(Type.String(), { description: 'audiences its tokens may have' }),
    ttl: Type.Integer({ description: 'lifetime of its tokens in seconds' }),
    token_endpoint_auth_method: AuthMethod,
    jwks: Type.Optional(Type.Object({ keys: Type.Array(Type.Record(Type.String(), Type.String())) })),
    jwks_uri: Type.Optional(Type.String()),
    status: Status,
    created_at: Timestamp,
  },
  { $id: 'Client', description: 'A client' },
)

/** The values of the server, for clients without their own. */
export interface ClientDefaults {
  readonly audience: readonly string[]
  /** In seconds. */
  readonly ttl: number
}

export function clientReply(client: Client, defaults: ClientDefaults): Static<typeof ClientReply> {
  const { id, name, scope, ttl, authMethod, jwks, jwksUri, status, createdAt } = client
  return {
    client_id: id,
    name,
    scope,
    audience: [...audienceOf(client, defaults.audience)],
    ttl: ttl ?? defaults.ttl,
    token_endpoint_auth_method: authMethod,
    ...(jwks !== null && { jwks: { keys: [...jwks.keys] } }),
    ...(jwksUri !== null && { jwks_uri: jwksUri }),
    status,
    created_at: toTimestamp(createdAt),
  }
}
