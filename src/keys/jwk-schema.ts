import { type Static, Type } from '@sinclair/typebox'

const Base64url = Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 2048 })

/**
 * The public form of a key (RFC 7517, RFC 7518 section 6.3.1): an allow-list, so that a private member can never be
 * published.
 */
export const PublicJwk = Type.Object(
  {
    kty: Type.Literal('RSA'),
    n: Base64url,
    e: Type.Literal('AQAB', { description: '65537' }),
    kid: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'RFC 7638 SHA-256 thumbprint' }),
    use: Type.Literal('sig'),
    alg: Type.Literal('RS256'),
  },
  { additionalProperties: false },
)
export type PublicJwk = Static<typeof PublicJwk>
