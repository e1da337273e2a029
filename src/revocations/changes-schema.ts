import { type Static, Type } from '@sinclair/typebox'

/** What a follower may ask with. `0` says that it has nothing. */
export const CURSOR_PATTERN = '^[A-Za-z0-9._-]{1,100}$'

const Id = Type.String({ minLength: 1, maxLength: 255 })
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const counted = (description: string) => Type.Integer({ ...Count, description })
const ids = (description: string) => Type.Optional(Type.Array(Id, { description }))
const versions = (description: string) =>
  Type.Optional(Type.Record(Id, Type.Union([Count, Type.Null()]), { description }))

/**
 * The payload of one document of the change stream: everything that was revoked after `after`, up to `seq`. Times are
 * NumericDate seconds (RFC 7519 section 2). Followers ignore members that they don't know.
 */
export const ChangesClaims = Type.Object({
  iss: Id,
  history: Type.String({ minLength: 1, maxLength: 64, description: 'changes when the store of the issuer went back' }),
  after: counted('the number after which this document begins; 0 = it is of the whole'),
  seq: counted('the number of the newest revocation in it; equal to `after` when it only renews freshness'),
  page: Type.Optional(counted('of a whole: which page this is, from 1')),
  pages: Type.Optional(counted('of a whole: how many pages it has')),
  whole: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'of a whole: a text that is equal in all of its pages, and in no other whole',
    }),
  ),
  iat: counted('everything that was withdrawn before this instant is in it, or in what came before it'),
  exp: counted('until this instant the copy counts as fresh'),
  until: Type.Optional(counted('no token that an entry of this document could hit lives longer')),
  sessions: ids('a token whose `sid` is one of these is refused'),
  accounts: versions('by `sub`: a token whose `token_version` is lower is refused; null refuses every one'),
  clients: versions('the same by `client_id`'),
  tokens: ids('a token whose `jti` is one of these is refused'),
  keys: ids('every revoked `kid` of the issuer: a token signed by one of these is refused'),
  cursor: Type.String({ pattern: CURSOR_PATTERN, description: 'what to ask with next' }),
})
export type ChangesClaims = Static<typeof ChangesClaims>
