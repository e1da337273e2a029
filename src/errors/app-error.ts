/**
 * The errors that callers and operators see: the table of public codes, the OAuth table beside it (`oauth-error.ts`)
 * and the problem body (`problem.ts`). Only what a refusal says belongs here; when to refuse is decided by the folders
 * above.
 */

import type { Refusal } from './refusals.ts'

/** RFC 6750 section 3: the `error` parameter of the challenge, or null for a request that carried no credential. */
type Challenge = 'invalid_token' | 'invalid_request' | 'insufficient_scope' | 'insufficient_user_authentication' | null

export interface ErrorRow {
  readonly status: number
  readonly title: string
  /** Present when the response carries a `WWW-Authenticate: Bearer` challenge. */
  readonly challenge?: Challenge
  /** Seconds for the `Retry-After` header. */
  readonly retryAfter?: number
}

/**
 * The one table of public error codes. A code is a promise to callers: it is never renamed, and its status never
 * changes. Causes that an attacker would like to tell apart share a row; only the log tells them apart.
 */
export const ERRORS = {
  malformed_request: { status: 400, title: 'The request is malformed.' },
  invalid_json: { status: 400, title: 'The body is not valid JSON in UTF-8.' },
  validation_failed: { status: 400, title: 'Some fields are not acceptable.' },
  invalid_request: {
    status: 400,
    title: 'A request carries exactly one Authorization header.',
    challenge: 'invalid_request',
  },
  invalid_recovery_token: { status: 400, title: 'The link or the code is wrong, used, or too old: ask for another.' },
  missing_token: {
    status: 401,
    title: 'This route needs an access token: Authorization: Bearer <token>.',
    challenge: null,
  },
  invalid_token: { status: 401, title: 'The access token is not valid.', challenge: 'invalid_token' },
  token_expired: { status: 401, title: 'The access token has expired.', challenge: 'invalid_token' },
  token_stale: {
    status: 401,
    title: 'The roles or the status of the account changed after this token was issued: refresh once.',
    challenge: 'invalid_token',
  },
  insufficient_user_authentication: {
    status: 401,
    title: 'This route asks for a more recent login.',
    challenge: 'insufficient_user_authentication',
  },
  invalid_refresh_token: { status: 401, title: 'The refresh token is not valid: log in again.', challenge: null },
  invalid_credentials: { status: 401, title: 'The email or the password is wrong.', challenge: null },
  email_unverified: { status: 401, title: 'The address of this account is not confirmed yet.', challenge: null },
  recovery_required: {
    status: 401,
    title: 'This account was locked by its owner: set a new password by a recovery.',
    challenge: null,
  },
  insufficient_scope: { status: 403, title: 'The token does not allow this.', challenge: 'insufficient_scope' },
  refresh_cookie_missing: {
    status: 403,
    title: 'The refresh token of this session is in a cookie: send it.',
  },
  cross_site_request: {
    status: 403,
    title: 'A page of an unlisted origin sent this, or the refresh cookie came without JSON.',
  },
  registration_closed: { status: 403, title: 'Registration is closed on this server.' },
  not_found: { status: 404, title: 'There is nothing at this address.' },
  method_not_allowed: { status: 405, title: 'This address does not take this method.' },
  request_timeout: { status: 408, title: 'The request took too long to arrive.' },
  email_taken: { status: 409, title: 'An account with this email exists already.' },
  client_without_secret: { status: 409, title: 'This client shows keys and has no secret.' },
  last_admin: { status: 409, title: 'This would leave no active admin.' },
  password_changed_meanwhile: { status: 409, title: 'The password was changed by another request.' },
  payload_too_large: { status: 413, title: 'The body is larger than 16 KB.' },
  uri_too_long: { status: 414, title: 'The address is too long.' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json.' },
  password_unacceptable: { status: 422, title: 'This password is not acceptable.' },
  too_many_requests: { status: 429, title: 'Too many requests. Try again later.' },
  headers_too_large: { status: 431, title: 'The request headers are too large.' },
  internal: { status: 500, title: 'Something went wrong on our side.' },
  overloaded: { status: 503, title: 'The server is busy. Try again shortly.', retryAfter: 1 },
  store_unavailable: { status: 503, title: 'The store cannot be reached. Try again shortly.', retryAfter: 2 },
  revocations_stale: {
    status: 503,
    title: 'This server has lost touch with the revocations. Try again shortly.',
    retryAfter: 5,
  },
  keys_unavailable: {
    status: 503,
    title: 'The keys of the issuer cannot be fetched. Try again shortly.',
    retryAfter: 2,
  },
  signing_unavailable: { status: 503, title: 'No key can sign now. Try again shortly.', retryAfter: 5 },
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

/** The row of a code, with the optional members visible to the type checker. */
export function errorRow(code: ErrorCode): ErrorRow {
  return ERRORS[code]
}

/** One field that was refused: a JSON Pointer (RFC 6901) and a sentence that never repeats the value. */
export interface FieldError {
  readonly field: string
  readonly message: string
}

export interface AppErrorOptions {
  /** For the log only: the cause that the public answer hides. Never holds a token, a password or a key. */
  readonly reason?: string
  /** Why a token or its caller was refused, for metrics and the log. Everywhere else it is left out. */
  readonly refusal?: Refusal | undefined
  /** For the caller: one sentence about this occurrence. */
  readonly detail?: string
  readonly fields?: readonly FieldError[]
  readonly headers?: Readonly<Record<string, string>>
  /** Further parameters of the challenge, for example `max_age` (RFC 9470 section 3). */
  readonly challengeParameters?: Readonly<Record<string, string>>
  readonly cause?: unknown
}

/** By this name an error is known in every copy of this module: bundlers and old Nodes load several in one process. */
const BRAND = Symbol.for('signet.error')

/**
 * The only error whose code and detail reach the caller; every other one becomes a plain 500 (`internal`). A mistake in
 * our own code throws a TypeError instead.
 */
export class AppError extends Error {
  /** `instanceof AppError` is also true for an error of another copy of this class: without it a 403 became a 500. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // biome-ignore lint/complexity/noThisInStatic: a subclass inherits this method, and knows its own errors only
    if (this !== AppError) return Function.prototype[Symbol.hasInstance].call(this, value)
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, BRAND)) return false
    const { code } = value as { code?: unknown }
    return typeof code === 'string' && Object.hasOwn(ERRORS, code) // a copy of another version may have others
  }

  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly reason: string | undefined
  readonly refusal: Refusal | undefined
  readonly detail: string | undefined
  readonly fields: readonly FieldError[] | undefined
  readonly headers: Readonly<Record<string, string>>
  /** Not `#`: with a private member the types of two copies of this class would not fit each other. */
  challengeParameters: Readonly<Record<string, string>>

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.reason ?? errorRow(code).title, { cause: options.cause })
    Object.defineProperty(this, BRAND, { value: true })
    this.code = code
    this.reason = options.reason
    this.refusal = options.refusal
    this.detail = options.detail
    this.fields = options.fields
    this.headers = options.headers ?? {}
    this.challengeParameters = options.challengeParameters ?? {}
  }

  /** For whoever passes the error on and knows more, for example where the metadata is (RFC 9728 section 5.1). */
  addToChallenge(parameters: Readonly<Record<string, string>>): void {
    this.challengeParameters = { ...parameters, ...this.challengeParameters }
  }

  get status(): number {
    return errorRow(this.code).status
  }
}

/**
 * A fault that an operator can fix: a bad setting, an unreadable key, a port in use. Scripts and the server print it as
 * one line with the hint below it, and exit 1 without a stack trace.
 */
export class OperatorError extends Error {
  override readonly name = 'OperatorError'
  readonly hint: string | undefined

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.hint = options.hint
  }
}
