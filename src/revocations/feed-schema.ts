import { type Static, Type } from '@sinclair/typebox'

const Id = Type.String({ minLength: 1, maxLength: 255 })
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const versions = (description: string) => Type.Record(Id, Type.Union([Count, Type.Null()]), { description })

/**
 * The payload of the feed: everything that is revoked, not only the changes. Times are NumericDate seconds (RFC 7519
 * section 2). Verifiers ignore members that they don't know.
 */
export const FeedClaims = Type.Object({
  iss: Id,
  seq: Type.Integer({ ...Count, description: 'grows with every revocation; revoking a key does not change it' }),
  iat: Type.Integer({ ...Count, description: 'everything that was withdrawn before this instant is in it' }),
  exp: Type.Integer({ ...Count, description: 'until this instant the copy counts as fresh' }),
  sessions: Type.Array(Id, { description: 'a token whose `sid` is one of these is refused' }),
  accounts: versions('by `sub`: a token whose `token_version` is lower is refused; null refuses every one'),
  clients: versions('the same by `client_id`'),
  tokens: Type.Array(Id, { description: 'a token whose `jti` is one of these is refused' }),
  keys: Type.Array(Id, {
    description: 'a token signed by one of these `kid`s is refused, whatever a cached JWKS says',
  }),
})
export type FeedClaims = Static<typeof FeedClaims>

/** Everything that is revoked, except keys. */
export type RevokedIds = Pick<FeedClaims, 'sessions' | 'accounts' | 'clients' | 'tokens'>
