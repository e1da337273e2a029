import { type Static, Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import { Timestamp } from '../http/schemas.ts'
import { AuthMethod, audienceOf, type Client, Status } from './client.ts'

/** What of a client leaves in a reply: names as RFC 7591 has them. */
export const ClientReply = Type.Object(
  {
    client_id: Type.String(),
    name: Type.String(),
    scope: Type.String({ description: 'what it may ask for, space-separated' }),
    audience: Type.Array(Type.String(), { description: 'what its tokens may be for' }),
    ttl: Type.Integer({ description: 'seconds its tokens live' }),
    token_endpoint_auth_method: AuthMethod,
    jwks: Type.Optional(Type.Object({ keys: Type.Array(Type.Record(Type.String(), Type.String())) })),
    jwks_uri: Type.Optional(Type.String()),
    status: Status,
    created_at: Timestamp,
  },
  { $id: 'Client', description: 'A client' },
)

/** Of the server, for clients without their own. */
export interface ClientDefaults {
  readonly audience: readonly string[]
  /** Seconds. */
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
