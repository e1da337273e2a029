import fastifyJwt, { type JWT } from '@fastify/jwt'
import Fastify from 'fastify'
import { AppError } from '../errors/app-error.ts'
import { type AccessTokenClaims, type ClaimsPolicy, REQUIRED_CLAIMS } from './claims.ts'
import { memoizePerKey } from './memoize-per-key.ts'
import type { VerifySignature } from './verify.ts'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: AccessTokenClaims
    user: AccessTokenClaims
  }
}

/**
 * @fastify/jwt in verify-only mode: it never sees a private key.
 *
 * @returns a function that gives the payload and throws AppError `invalid_token`; what is wrong with a key it throws as it is
 */
export function createFastifyJwtSignature(policy: ClaimsPolicy): VerifySignature {
  const verify = fastJwtOptions(policy)
  const jwtOf = memoizePerKey((pem) => jwtWith({ secret: { public: pem }, verify }))
  return (token, pem) => {
    const jwt = jwtOf(pem)
    try {
      return withoutStacks(() => jwt.verify(token))
    } catch (error) {
      throw asTokenFailure(error as Error)
    }
  }
}

/**
 * The plugin on an instance of its own, that never listens: a key comes and goes while the server runs, and a running server takes
 * no plugins. With a function that gives the key, on the server itself, the plugin reads every token twice and merges its options
 * four times.
 */
function jwtWith(options: Parameters<typeof fastifyJwt>[1]): JWT {
  const holder = Fastify()
  fastifyJwt(holder, options, (error) => {
    if (error) throw error
  })
  return holder.jwt
}

/**
 * How fast-jwt below @fastify/jwt is told to check a token. An `algorithms` that is text, or an empty audience, would
 * silently switch the check off: the policy was asserted before.
 */
function fastJwtOptions({ issuer, audience, typ }: ClaimsPolicy) {
  return {
    algorithms: ['RS256' as const],
    allowedIss: issuer,
    ...(audience !== null && { allowedAud: [...audience] }),
    ...(typ !== null && { checkTyp: typ }),
    requiredClaims: [...REQUIRED_CLAIMS],
    // Time is judged by acceptClaims alone, last of all and by one clock: only a token that is good otherwise is called expired.
    ignoreExpiration: true,
    ignoreNotBefore: true,
    cache: false, // it knows nothing of withdrawn keys
  }
}

/**
 * Below, Node finds out what kind of key it was given by two errors that it throws and catches: writing their stacks down takes half
 * as long as the check of the signature. Nobody reads those, nor the stacks of fast-jwt's refusals, of which code and message go on.
 */
function withoutStacks<Result>(work: () => Result): Result {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return work()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Every failure of a token is one 401. */
function asTokenFailure(error: Error & { code?: string }): AppError {
  return new AppError('invalid_token', { reason: `${error.code ?? error.name}: ${error.message}`.slice(0, 200) })
}
