import { type AppError, type ErrorRow, errorRow } from './app-error.ts'

/** The response to a refused request, for any framework. */
export interface ProblemResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * RFC 9457 problem details with a stable `code`. For an error about a token, the `WWW-Authenticate` challenge of RFC
 * 6750 section 3 too.
 */
export function problemResponse(error: AppError, requestId: string | undefined): ProblemResponse {
  const { code, detail, fields } = error
  const row = errorRow(code)
  const { status, title } = row
  const headers: Record<string, string> = {
    ...error.headers,
    'cache-control': 'no-store',
    'content-type': 'application/problem+json; charset=utf-8',
  }
  if (row.challenge !== undefined) headers['www-authenticate'] = challenge(row, error.challengeParameters)
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
function challenge({ challenge, title }: ErrorRow, parameters: Readonly<Record<string, string>>): string {
  const error = challenge === null ? {} : { error: challenge, error_description: title }
  const all = Object.entries({ realm: 'signet', ...error, ...parameters })
  return `Bearer ${all.map(([name, value]) => `${name}="${value}"`).join(', ')}`
}
