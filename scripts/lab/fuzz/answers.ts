import { ERRORS, errorRow } from '../../../src/errors/app-error.ts'
import { OAUTH_ERRORS, oauthErrorRow } from '../../../src/errors/oauth-error.ts'

/** What of an answer is looked at. */
export interface Answer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Stands in hostile input, so that an answer that repeats input gives itself away. */
export const MARKER = 'Zq-repeated-Zq'

// Stack frames, paths and names of libraries: what gives a program away.
const INNER = /\bat .+:\d+:\d+|node_modules|fast-?jwt|FAST_|FST_|\bERR_|TypeBox|SQLITE|sqlite/

/**
 * What is wrong with an answer, whatever was asked: a fault of ours, an error in another form than is promised, or one that tells
 * too much. An answer that is no error is judged by its target.
 *
 * @param secrets texts that no error may hold
 * @returns sentences; none when all is well
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

/** The name of a member that is not known is shown to its sender, when it is a plain word: that much is repeated on purpose. */
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
