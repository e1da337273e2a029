import { type Static, Type } from '@sinclair/typebox'
import type { CustomClaims } from './custom-claims.ts'

/**
 * Without control characters (C0, DEL, C1), line separators and halves of surrogate pairs. Stores, logs and other
 * services change or cut such text, and two identifiers could become one.
 */
const CLEAN = '(?:[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\ud800-\\udfff]|[\\ud800-\\udbff][\\udc00-\\udfff])*$'
/** Not blank: a character that is not white space is in it. */
const clean = (maxLength: number) => Type.String({ minLength: 1, maxLength, pattern: `^(?=.*\\S)${CLEAN}` })

/** `iss`, `aud`, `sub`, `client_id`, `jti` and `sid`. */
export const Identifier = clean(255)
// The last second that RFC 3339 can write. A later one would pass here, and fail where it is formatted.
const NumericDate = Type.Integer({ minimum: 0, maximum: Date.UTC(9999, 11, 31, 23, 59, 59) / 1000 })

/** The claims of an access token. Times are NumericDate seconds (RFC 7519 section 2). */
export const AccessTokenClaims = Type.Object({
  iss: Identifier,
  aud: Type.Union([Identifier, Type.Array(Identifier, { minItems: 1, maxItems: 32 })]),
  sub: Identifier,
  client_id: Identifier,
  iat: NumericDate,
  exp: NumericDate,
  jti: Identifier,
  nbf: Type.Optional(NumericDate),
  sid: Type.Optional(Identifier),
  auth_time: Type.Optional(NumericDate),
  scope: Type.Optional(Type.String({ maxLength: 2048, pattern: `^${CLEAN}` })),
  roles: Type.Optional(Type.Array(clean(64), { maxItems: 32 })),
  token_version: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  email_verified: Type.Optional(Type.Boolean()),
})
export interface AccessTokenClaims extends Static<typeof AccessTokenClaims>, CustomClaims {}
