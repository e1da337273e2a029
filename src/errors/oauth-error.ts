/** As long as the table of app-error.ts asks callers to wait for the store: `store_unavailable`. */
const RETRY_AFTER_SECONDS = 2

interface OAuthErrorRow {
  readonly status: number
  /** For the developer of a client. RFC 6749 section 5.2: no quotes, no backslashes, nothing beyond ASCII. */
  readonly description: string
  readonly retryAfter?: number
}

/**
 * The one table of errors of `/oauth/*`: the codes of RFC 6749 section 5.2 and RFC 8707 section 2, three of RFC
 * 6749 section 4.1.2.1, and one of our own for 429, which no standard names.
 */
export const OAUTH_ERRORS = {
  invalid_request: { status: 400, description: 'The request is malformed.' },
  invalid_grant: { status: 400, description: 'The refresh token is not valid, or is not yours.' },
  invalid_scope: { status: 400, description: 'The scope is malformed, or more than is allowed.' },
  invalid_target: { status: 400, description: 'The resource is not one that is allowed.' },
  unauthorized_client: { status: 400, description: 'The client may not do this.' },
  unsupported_response_type: { status: 400, description: 'This server issues nothing at its authorization endpoint.' },
  unsupported_grant_type: { status: 400, description: 'The grant type is not supported.' },
  invalid_client: { status: 401, description: 'The client could not be authenticated.' },
  too_many_requests: { status: 429, description: 'Too many requests. Try again later.' },
  server_error: { status: 500, description: 'Something went wrong on our side.' },
  temporarily_unavailable: { status: 503, description: 'Try again shortly.', retryAfter: RETRY_AFTER_SECONDS },
} as const satisfies Record<string, OAuthErrorRow>

export type OAuthErrorCode = keyof typeof OAUTH_ERRORS

/** The row of a code, with the optional members visible to the type checker. */
export function oauthErrorRow(code: OAuthErrorCode): OAuthErrorRow {
  return OAUTH_ERRORS[code]
}

/** A refusal that is answered in the format of RFC 6749 section 5.2. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: OAuthErrorCode
  readonly description: string

  /**
   * @param reason for the log only; never a secret, a token or an assertion
   * @param description for the caller; by default the one of the code. Never repeats what was sent
   */
  constructor(code: OAuthErrorCode, reason: string, description: string = OAUTH_ERRORS[code].description) {
    super(reason)
    this.code = code
    this.description = description
  }
}
