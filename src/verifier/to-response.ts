import { AppError } from '../errors/app-error.ts'
import { type ProblemResponse, problemResponse } from '../errors/problem.ts'

/**
 * The answer to a refused request: status, headers with the challenge of RFC 6750, and an RFC 9457 body. Any error that
 * is not a SignetError becomes a 500 without details.
 */
export function toResponse(error: unknown): ProblemResponse {
  return problemResponse(error instanceof AppError ? error : new AppError('internal', { cause: error }), undefined)
}
