import { ERRORS, errorRow } from '../../../src/errors/app-error.ts'
import { OAUTH_ERRORS, oauthErrorRow } from '../../../src/errors/oauth-error.ts'

/** The members of a response that are checked. */
export interface Answer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Part of the hostile input, so that a response which repeats its input can be recognised. */
export const MARKER = 'Zq-repeated-Zq'

// Stack frames, paths and names of libraries: details that a response must not reveal.
const INNER = /\bat .+:\d+:\d+|node_modules|fast-?jwt|FAST_|FST_|\bERR_|TypeBox|SQLITE|sqlite/

/**
 * What is wrong with a response, whatever the request was: a fault of the server, an error in another format than
 * promised, or an error that reveals too much. A response that is no error is judged by its target.
 *
 * @param secrets texts that no error may contain
 * @returns sentences; none when nothing is wrong
 */
export function complaints(answer: Answer, secrets: readonly string[] = []): string[] {
  const { statusCode, headers, body } = answer
  if (statusCode < 400) return statusCode >= 200 ? [] : [`status ${statusCode}`]
  if (statusCode >= 500 && statusCode !== 503) return [`status ${statusCode}: ${body.slice(0, 300)}`]
  const everything = JSON.stringify(headers) + withoutFieldNames(body)
  return [
    wrongForm(answer),
    INNER.test(everything) && `gives away ${INNER.exec(everything)?.[0]}`,
    [MARKER, ...secrets].some((secret) => everything.includes(secret)) && 'repeats what was sent',
    body.length > 2000 && `an error of ${body.length} characters`,
  ].filter((complaint) => typeof complaint === 'string')
}

/** The stable code of an error, or undefined. */
export function codeOf({ body }: Answer): string | undefined {
  const problem = parsed(body)
  return problem?.code ?? problem?.error
}

function wrongForm(answer: Answer): string | undefined {
  const { statusCode, headers, body } = answer
  const type = String(headers['content-type'])
  const code = codeOf(answer) ?? ''
  if (body === '') return 'an error without a body'
  if (type.startsWith('application/problem+json')) {
    const known = Object.hasOwn(ERRORS, code) && errorRow(code as keyof typeof ERRORS).status === statusCode
    return known ? undefined : `problem code ${code} with status ${statusCode}`
  }
  const known =
    Object.hasOwn(OAUTH_ERRORS, code) && oauthErrorRow(code as keyof typeof OAUTH_ERRORS).status === statusCode
  return known && type.startsWith('application/json') ? undefined : `${type} with code ${code} and status ${statusCode}`
}

/**
 * An error names an unknown member to its sender, if the name is a plain word. That repetition is intended, so it is
 * removed before the check.
 */
function withoutFieldNames(body: string): string {
  const problem = parsed(body)
  if (!Array.isArray(problem?.errors)) return body
  return JSON.stringify({ ...problem, errors: problem.errors.map(({ message }: { message: unknown }) => message) })
}

function parsed(body: string) {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
