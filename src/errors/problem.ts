import { type AppError, type ErrorRow, errorRow } from './app-error.ts'

/** The response to a refused request, for any framework. */
export interface ProblemResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Parameters of a challenge: names of the code, never of a caller, and values of any text. */
export type ChallengeParameters = Readonly<Record<string, string>>

/**
 * RFC 9457 problem details with a stable `code`. For an error about a token, the `WWW-Authenticate` challenge of RFC
 * 6750 section 3 too.
 *
 * @param everyChallenge parameters of each challenge besides those of the error, for example `resource_metadata` (RFC
 *   9728 section 5.1)
 */
export function problemResponse(
  error: AppError,
  requestId: string | undefined,
  everyChallenge: ChallengeParameters = {},
): ProblemResponse {
  const { code, detail, fields } = error
  const row = errorRow(code)
  const { status, title } = row
  const headers: Record<string, string> = {
    ...error.headers,
    'cache-control': 'no-store',
    'content-type': 'application/problem+json; charset=utf-8',
  }
  if (row.challenge !== undefined)
    headers['www-authenticate'] = challenge(row, { ...everyChallenge, ...error.challengeParameters })
  if (row.retryAfter !== undefined) headers['retry-after'] = String(row.retryAfter)
  const problem = {
    type: `urn:signet:error:${code}`,
    title,
    status,
    code,
    detail,
    errors: fields,
    request_id: requestId,
  }
  return { status, headers, body: JSON.stringify(problem) }
}

/** RFC 6750 section 3: no `error` parameter when the request carried no credential. */
function challenge({ challenge, title }: ErrorRow, parameters: ChallengeParameters): string {
  const error = challenge ? { error: challenge, error_description: title } : {}
  const all = Object.entries<string>({ realm: 'signet', ...error, ...parameters })
  return `Bearer ${all.map(([name, value]) => `${name}=${quotedString(value)}`).join(', ')}`
}

/**
 * RFC 9110 section 5.6.4. No value ends its string early, begins another parameter or another header, or makes Node
 * refuse the header: what is not printable ASCII becomes a question mark.
 */
function quotedString(text: string): string {
  return `"${text.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/["\\]/g, '\\$&')}"`
}
