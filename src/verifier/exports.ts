// What the package exports on every runtime: `index.ts` and `index-web.ts` add `createVerifier`.

import { AppError, type ErrorCode } from '../errors/app-error.ts'
import { type ProblemResponse, problemResponse } from '../errors/problem.ts'

export type { Refusal } from '../errors/refusals.ts'
export { assertDemands, type Demands, type Held } from '../tokens/authorize.ts'
export type { AccessTokenClaims } from '../tokens/claims.ts'
export type * from '../tokens/custom-claims.ts' // by name it could not be extended by `declare module`
export { authorize } from './authorize.ts'
export type { OnStale, VerifierEvent, VerifierOptions } from './options.ts'
export type { Verifier, VerifierStats } from './verifier.ts'
export { AppError as SignetError, type ErrorCode, type ProblemResponse }

/**
 * The answer to a refused request: status, headers with the challenge of RFC 6750, and an RFC 9457 body. Any error that
 * is not a SignetError becomes a 500 without details.
 */
export function toResponse(error: unknown): ProblemResponse {
  return problemResponse(error instanceof AppError ? error : new AppError('internal', { cause: error }), undefined)
}
