import type { Elapsed } from './clocks.ts'
import type { SignetClientError } from './errors.ts'

/** What came back from the server, read and not yet judged. */
export interface Answer {
  /** Why there is no answer at all. */
  readonly failure?: SignetClientError
  /** 0 without an answer. */
  readonly status: number
  /** The JSON object of the body; undefined if it is anything else. */
  readonly body?: Readonly<Record<string, unknown>> | undefined
  /** The member `code` of the body, if that is a text. */
  readonly code?: string | undefined
  /** From `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number | undefined
  /** Since the request was sent, as far as that was noted. */
  readonly since?: Elapsed | undefined
}

/** A longer `Retry-After` is a mistake of somebody in between, and would lock a person out for its whole time. */
export const MAX_RETRY_AFTER_MS = 900_000

interface Head {
  readonly status: number
  readonly headers: { get(name: string): string | null }
}

/**
 * Reads an answer. Never throws: HTML, half of a JSON text and foreign headers lead to an answer without these members.
 *
 * @param wallMs the wall clock, for a `Retry-After` with a date when the answer has no `Date`
 */
export function readAnswer({ status, headers }: Head, text: string, wallMs: number): Answer {
  let body: Answer['body']
  try {
    const value = JSON.parse(text)
    if (value === Object(value)) body = value
  } catch {
    // not JSON: the answer has no body that we understand
  }
  const code = body?.code
  return { status, body, code: typeof code === 'string' ? code : undefined, retryAfterMs: retryAfter(headers, wallMs) }
}

/** RFC 9110 section 10.2.3: seconds or a date. A date is compared with the server's own `Date`, if that can be read. */
function retryAfter(headers: Head['headers'], wallMs: number): number | undefined {
  const text = headers.get('retry-after') ?? ''
  const ms = /^\d+$/.test(text)
    ? Number(text) * 1000
    : Date.parse(text) - (Date.parse(headers.get('date') ?? '') || wallMs)
  return ms > 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : undefined
}
