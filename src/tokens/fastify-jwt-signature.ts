import fastifyJwt, { type JWT } from '@fastify/jwt'
import Fastify from 'fastify'
import { AppError } from '../errors/app-error.ts'
import type { Refusal } from '../errors/refusals.ts'
import { type AccessTokenClaims, acceptClaims, type ClaimsPolicy, REQUIRED_CLAIMS } from './claims.ts'
import { memoizePerKey } from './memoize-per-key.ts'
import type { VerifySignature } from './verify.ts'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: AccessTokenClaims
    user: AccessTokenClaims
  }
}

/**
 * Verifies signatures with @fastify/jwt in verify-only mode: it never sees a private key.
 *
 * @returns a function that returns the payload and throws AppError `invalid_token`; an error about the key itself is
 *   thrown unchanged
 */
export function createFastifyJwtSignature(policy: ClaimsPolicy): VerifySignature {
  const verify = fastJwtOptions(policy)
  const jwtOf = memoizePerKey((pem) => jwtWith({ secret: { public: pem }, verify }))
  return (token, pem) => {
    const jwt = jwtOf(pem)
    try {
      return withoutStacks(() => jwt.verify(token))
    } catch (error) {
      throw asTokenFailure(error as Error, token, policy)
    }
  }
}

/**
 * Registers the plugin on a Fastify instance of its own that never listens: keys come and go while the server runs, and
 * a running server accepts no plugins. The alternative, a function that returns the key, on the server itself, makes
 * the plugin read every token twice and merge its options four times.
 */
function jwtWith(options: Parameters<typeof fastifyJwt>[1]): JWT {
  const holder = Fastify()
  fastifyJwt(holder, options, (error) => {
    if (error) throw error
  })
  return holder.jwt
}

/**
 * The options for fast-jwt, which @fastify/jwt uses. An `algorithms` that is a string, or an empty audience, would
 * silently switch the check off; assertPolicy has refused those before.
 */
function fastJwtOptions({ issuer, audience, typ }: ClaimsPolicy) {
  return {
    algorithms: ['RS256' as const],
    allowedIss: issuer,
    ...(audience !== null && { allowedAud: [...audience] }),
    ...(typ !== null && { checkTyp: typ }),
    requiredClaims: [...REQUIRED_CLAIMS],
    // Only acceptClaims checks times, after everything else and with one clock: so a token is called expired only when
    // it has no other fault.
    ignoreExpiration: true,
    ignoreNotBefore: true,
    cache: false, // fast-jwt's cache does not know about revoked keys
  }
}

/**
 * Runs `work` without recording stack traces. Inside fast-jwt, Node finds out the type of a key by two errors that it
 * throws and catches, and recording their stacks takes half as long as verifying the signature. Nobody reads those
 * stacks, nor those of fast-jwt's refusals: only their code and message are used.
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

/** Every fault of a token gets the same 401; the log has the reason. */
function asTokenFailure(error: Error & { code?: string }, token: string, policy: ClaimsPolicy): AppError {
  const { code = error.name, message } = error
  const refusal = ABOUT_CLAIMS.test(code) ? claimRefusal(token, policy) : (BEFORE_SIGNATURE[code] ?? 'signature')
  return new AppError('invalid_token', { reason: `${code}: ${message}`.slice(0, 200), refusal })
}

/** fast-jwt checks claims after the signature. */
const ABOUT_CLAIMS = /^FAST_JWT_(INVALID_CLAIM_TYPE|INVALID_CLAIM_VALUE|MISSING_REQUIRED_CLAIM)$/
/** It reads the payload before it verifies the signature. */
const BEFORE_SIGNATURE: Readonly<Record<string, Refusal>> = {
  FAST_JWT_MALFORMED: 'malformed',
  FAST_JWT_INVALID_PAYLOAD: 'claim',
}

/** The word of our own check, whose order is the one that counts. It comes to issuer and audience before any time. */
function claimRefusal(token: string, policy: ClaimsPolicy): Refusal {
  try {
    acceptClaims(JSON.parse(Buffer.from(token.split('.', 2)[1] ?? '', 'base64url').toString()), policy, 0)
  } catch (error) {
    if (error instanceof AppError && error.refusal !== undefined) return error.refusal
  }
  return 'claim'
}
