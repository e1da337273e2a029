import type { Answer } from './answer.ts'

/**
 * The codes of this package. Besides, `code` can be each code of the server (`invalid_credentials`, `email_taken`,
 * `too_many_requests`…).
 */
export type ClientErrorCode =
  /** No answer came: offline, DNS, a cut connection, a refused redirect, CORS. */
  | 'network_error'
  /** No answer came in time. */
  | 'timeout'
  /** An answer that is not the server's: a proxy, a captive portal, half of a body. */
  | 'unexpected_answer'
  /** The storage adapter threw. The session goes on. */
  | 'storage_failed'
  /** Somebody else signed in, on another origin of the site, since the request was made: it was not sent. */
  | 'other_account'
  /** Nobody is signed in. */
  | 'signed_out'
  /** `close()` was called. */
  | 'closed'

/** The body of a refusal (RFC 9457), as far as the server sent it. */
export interface Problem {
  readonly title?: string
  readonly detail?: string
  /** The fields that were refused: a JSON Pointer and a sentence each. */
  readonly errors?: readonly { readonly field: string; readonly message: string }[]
  /** Quote it when you ask for help. */
  readonly request_id?: string
}

/**
 * Every error of this package. Act on `code`. Neither message nor members ever hold a token or a password. `cause` is
 * what `fetch` or the storage adapter threw, as they threw it.
 */
export class SignetClientError extends Error {
  declare readonly code: ClientErrorCode | (string & {})
  /** The HTTP status; 0 when there was no answer. */
  declare readonly status: number
  /** Milliseconds until the next try, by the server or by the back-off; undefined when nobody said. */
  declare retryAfterMs: number | undefined
  /** Only of a refusal: the body of a good answer may hold tokens. */
  declare readonly problem: Problem | undefined

  constructor(code: ClientErrorCode | (string & {}), answer: Partial<Answer> & ErrorOptions = {}) {
    const { status = 0, body, retryAfterMs } = answer
    const problem = status >= 400 ? (body as Problem | undefined) : undefined
    super(problem?.title ? `${code}: ${problem.title}` : code, answer)
    Object.assign(this, { name: 'SignetClientError', code, status, retryAfterMs, problem })
  }
}

/** The error for an answer that is not the one that was asked for: with the server's code if it is a refusal. */
export function refused(answer: Answer): SignetClientError {
  const { failure, status, code } = answer
  return failure ?? new SignetClientError((status >= 400 && code) || 'unexpected_answer', answer)
}
