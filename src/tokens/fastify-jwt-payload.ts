import fastifyJwt from '@fastify/jwt'
import type { FastifyRequest } from 'fastify'
import { AppError } from '../errors.ts'
import type { App } from '../http/app-type.ts'
import { type AccessTokenClaims, type ClaimsPolicy, REQUIRED_CLAIMS } from './claims.ts'
import { bearerToken } from './credential.ts'
import type { SignedPayload, VerificationKeys } from './verify.ts'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: AccessTokenClaims
    user: AccessTokenClaims
  }
}

/**
 * @fastify/jwt in verify-only mode: it never sees a private key. Called without options and with PEM text it keeps one verifier
 * per key; with anything else it builds one per request.
 *
 * @returns a function that checks the signature of the request's token
 */
export async function registerFastifyJwt(
  app: App,
  keys: VerificationKeys,
  policy: ClaimsPolicy,
): Promise<SignedPayload<FastifyRequest>> {
  await app.register(fastifyJwt, {
    secret: {
      public: (_request: unknown, unverified: unknown, done: (error: Error | null, pem?: string) => void) => {
        const pem = keys.verificationPem((unverified as { header: { kid: string } }).header.kid)
        // Never undefined: @fastify/jwt would take the function itself for the key.
        if (pem === undefined) return done(new AppError('invalid_token', { reason: 'unknown kid' }))
        done(null, pem)
      },
    },
    decode: { complete: true },
    verify: {
      ...fastJwtOptions(policy),
      extractToken: (request: FastifyRequest) => bearerToken(request.headers.authorization ?? ''),
    },
  })
  return (_token, _pem, request) => verifiedPayload(request)
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
 * The payload of the request's token once its signature and pinned claims hold. With a PEM text and no options @fastify/jwt
 * answers before it returns, so no promise is needed, and nothing that runs later can throw inside its callbacks.
 */
function verifiedPayload(request: FastifyRequest): unknown {
  let outcome: { error: Error | null | undefined; payload: unknown } | undefined
  const verify = request.jwtVerify as unknown as (
    options: undefined,
    done: (error?: Error | null, payload?: unknown) => void,
  ) => void
  withoutStacks(() => {
    verify.call(request, undefined, (error, payload) => {
      outcome = { error, payload }
    })
  })
  request.user = null as never // set by the plugin from the raw payload; only accepted claims go on
  if (outcome === undefined) throw new Error('@fastify/jwt did not answer at once')
  if (outcome.error) throw asTokenFailure(outcome.error)
  return outcome.payload
}

/**
 * Below, Node finds out what kind of key it was given by two errors that it throws and catches: writing their stacks down takes half
 * as long as the check of the signature. Nobody reads those, nor the stacks of fast-jwt's refusals, of which code and message go on.
 */
function withoutStacks(work: () => void): void {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    work()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Every failure of a token is one 401. @fastify/jwt answers 500 to many hostile tokens (wrong typ, far nbf, unknown crit). */
export function asTokenFailure(error: Error & { code?: string }): AppError {
  if (error instanceof AppError) return error
  return new AppError('invalid_token', { reason: `${error.code ?? error.name}: ${error.message}`.slice(0, 200) })
}
