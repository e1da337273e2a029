import { Type } from '@sinclair/typebox'
import { ERRORS, type ErrorCode } from '../errors/app-error.ts'
import { OAUTH_ERRORS, type OAuthErrorCode } from '../errors/oauth-error.ts'

export const Timestamp = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, whole seconds' })

/** The body of every error of `/v1/*`: RFC 9457 with a stable `code`. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:signet:error:<code>`' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Unsafe<ErrorCode>({ type: 'string', enum: Object.keys(ERRORS) }),
    detail: Type.Optional(Type.String()),
    errors: Type.Optional(
      Type.Array(
        Type.Object({ field: Type.String({ description: 'JSON Pointer, RFC 6901' }), message: Type.String() }),
      ),
    ),
    request_id: Type.String({ description: 'also in the x-request-id header and in the log' }),
  },
  { $id: 'Problem', description: 'RFC 9457 problem details' },
)

/** The body of every error of `/oauth/*`: RFC 6749 section 5.2. */
export const OAuthProblem = Type.Object(
  {
    error: Type.Unsafe<OAuthErrorCode>({ type: 'string', enum: Object.keys(OAUTH_ERRORS) }),
    error_description: Type.String(),
  },
  { $id: 'OAuthError', description: 'RFC 6749 section 5.2' },
)

/** The answer to what is done later, or not at all: nobody learns which. */
export const Accepted = Type.Object({}, { $id: 'Accepted', description: 'Accepted: a message follows, if it may' })

/** The successful answer of every way to get a token (RFC 6749 section 5.1). */
export const TokenResponse = Type.Object(
  {
    access_token: Type.String({ description: 'JWT, RFC 9068' }),
    token_type: Type.Literal('Bearer'),
    expires_in: Type.Integer({ description: 'seconds' }),
    refresh_token: Type.Optional(Type.String({ description: 'absent when it travels in a cookie' })),
    scope: Type.String(),
  },
  { $id: 'TokenResponse', description: 'Tokens, RFC 6749 section 5.1' },
)
