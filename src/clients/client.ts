/**
 * OAuth clients (machines): their rows, secrets and public keys, how they authenticate, and what an admin may change.
 * What a client gets at `/oauth/*` belongs to `oauth/`.
 */

import { type Static, Type } from '@sinclair/typebox'
import { MAX_ACCESS_TOKEN_TTL_SECONDS } from '../config/ceilings.ts'

/**
 * Client ids begin with this, and account ids do not: the `sub` of a client can't collide with a person's (RFC 9700
 * section 4.15).
 */
export const CLIENT_ID_PREFIX = 'client_'

/**
 * How a client may authenticate (RFC 7591 section 2). The first two use the same secret, and a client with a secret may
 * use either.
 */
export const CLIENT_AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const
export type ClientAuthMethod = (typeof CLIENT_AUTH_METHODS)[number]

export const CLIENT_STATUS = ['active', 'disabled'] as const
export type ClientStatus = (typeof CLIENT_STATUS)[number]

/** After a rotation the previous secret stays good for a day by default, and for 30 days at most. */
export const MAX_OVERLAP_SECONDS = 30 * 86_400
export const DEFAULT_OVERLAP_SECONDS = 86_400

/**
 * RFC 6749 section 3.3: scope-token. Audiences may use only these characters too: ASCII, so one character is one byte
 * in a token.
 */
export const SCOPE_TOKEN = '[\\x21\\x23-\\x5B\\x5D-\\x7E]+'
const oneOf = <const T extends string>(values: readonly T[]) =>
  Type.Unsafe<T>(Type.Union(values.map((value) => Type.Literal(value))))

/** An empty text means no scope. */
export const Scope = Type.String({
  maxLength: 512,
  pattern: `^(${SCOPE_TOKEN}( ${SCOPE_TOKEN})*)?$`,
  description: 'space-separated',
})
export const AuthMethod = oneOf(CLIENT_AUTH_METHODS)
export const Status = oneOf(CLIENT_STATUS)
export const Jwks = Type.Object(
  { keys: Type.Array(Type.Object({}, { additionalProperties: true }), { minItems: 1, maxItems: 8 }) },
  { additionalProperties: false, description: 'public keys: RSA of at least 2048 bits, P-256 or Ed25519' },
)

/** The members of a new client, as an admin sends them. */
export const NewClient = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 64,
      // no control characters, and none that change the direction of text (bidirectional overrides)
      pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]+$',
      description: 'by which people recognise the client',
    }),
    scope: Type.Optional(Scope),
    audience: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 255, pattern: `^${SCOPE_TOKEN}$` }), {
        minItems: 1,
        maxItems: 8,
        uniqueItems: true,
        description: 'audiences its tokens may have; when absent, the audience of the server',
      }),
    ),
    ttl: Type.Optional(
      Type.Integer({
        minimum: 60,
        maximum: MAX_ACCESS_TOKEN_TTL_SECONDS,
        description: 'lifetime of its tokens in seconds; when absent, ACCESS_TOKEN_TTL',
      }),
    ),
    token_endpoint_auth_method: Type.Optional(AuthMethod),
    jwks: Type.Optional(Jwks),
    jwks_uri: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 512,
        description: 'https URL of its public keys, fetched when they are needed',
      }),
    ),
  },
  {
    additionalProperties: false,
    examples: [{ name: 'billing', scope: 'invoices:read invoices:write', audience: ['https://api.example.com'] }],
  },
)
export type NewClient = Static<typeof NewClient>

/** A public key as it is stored: named members only. */
export type PublicKey = Readonly<Record<string, string>>

/** A client as it is stored. */
export interface Client {
  readonly id: string
  readonly name: string
  /** The scopes that it may ask for, space-separated. */
  readonly scope: string
  /** Audiences that its tokens may have. Empty: the audience of the server. */
  readonly audience: readonly string[]
  /** Lifetime of its tokens in seconds; null: that of the server. */
  readonly ttl: number | null
  readonly authMethod: ClientAuthMethod
  readonly jwks: { readonly keys: readonly PublicKey[] } | null
  readonly jwksUri: string | null
  readonly status: ClientStatus
  /** Grows with every change that revokes its tokens. */
  readonly tokenVersion: number
  /** Epoch seconds. */
  readonly createdAt: number
}

export const usesSecret = ({ authMethod }: Pick<Client, 'authMethod'>): boolean => authMethod !== 'private_key_jwt'

/** The audiences that the tokens of a client may have. */
export function audienceOf({ audience }: Pick<Client, 'audience'>, ofServer: readonly string[]): readonly string[] {
  return audience.length === 0 ? ofServer : audience
}
