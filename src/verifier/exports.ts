// What the package exports on every runtime: `index.ts` and `index-web.ts` add `createVerifier`.

import { AppError, type ErrorCode } from '../errors/app-error.ts'
import type { ProblemResponse } from '../errors/problem.ts'

export type { Refusal } from '../errors/refusals.ts'
export { assertDemands, type Demands, type Held } from '../tokens/authorize.ts'
export type { AccessTokenClaims } from '../tokens/claims.ts'
export type * from '../tokens/custom-claims.ts' // by name it could not be extended by `declare module`
export { authorize } from './authorize.ts'
export type { CallOptions, VerifierMode, WaitUntil } from './mode-options.ts'
export type { OnStale, VerifierEvent, VerifierOptions } from './options.ts'
export type { VerifierStore } from './store/verifier-store.ts'
export { toResponse } from './to-response.ts'
export type { Verifier, VerifierStats } from './verifier.ts'
export type { OnOver } from './watch/watch-claims.ts'
export { AppError as SignetError, type ErrorCode, type ProblemResponse }
