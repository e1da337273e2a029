import { AppError, ERRORS, type ErrorCode } from '../errors/app-error.ts'
import { OAUTH_ERRORS, type OAuthErrorCode } from '../errors/oauth-error.ts'
import { problemResponse } from '../errors/problem.ts'

const FIELDS = [{ field: '/email', message: 'is required' }]

const problem = (code: ErrorCode) => {
  const error = new AppError(code, code === 'validation_failed' ? { fields: FIELDS } : {})
  return JSON.parse(problemResponse(error, 'hW3x-1a').body)
}

const oauthProblem = (code: OAuthErrorCode) => ({
  error: code,
  error_description: OAUTH_ERRORS[code].description,
})

const entries = <Code extends string>(codes: readonly Code[], prefix: string, example: (code: Code) => unknown) =>
  codes.map((code) => [`${prefix}${code}`, { value: example(code) }] as const)

/** The body of every error as it is sent, for `components.examples` of OpenAPI. */
export const ERROR_EXAMPLES: Readonly<Record<string, { value: unknown }>> = Object.fromEntries([
  ...entries(Object.keys(ERRORS) as ErrorCode[], '', problem),
  ...entries(Object.keys(OAUTH_ERRORS) as OAuthErrorCode[], 'oauth_', oauthProblem),
])

/** References to the examples of some errors, by code. */
export function examplesOf(codes: readonly string[], prefix: '' | 'oauth_'): Record<string, { $ref: string }> {
  return Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${prefix}${code}` }]))
}
