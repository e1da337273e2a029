import fastifyJwt from '@fastify/jwt'
import type { FastifyRequest } from 'fastify'
import { AppError } from '../errors.ts'
import type { App } from '../http/app-type.ts'
import type { AccessTokenClaims, ClaimsPolicy } from './claims.ts'
import { bearerToken } from './credential.ts'
import { fastJwtOptions } from './fast-jwt-options.ts'
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
 * The payload of the request's token once its signature and pinned claims hold. With a PEM text and no options @fastify/jwt
 * answers before it returns, so no promise is needed, and nothing that runs later can throw inside its callbacks.
 */
function verifiedPayload(request: FastifyRequest): unknown {
  let outcome: { error: Error | null | undefined; payload: unknown } | undefined
  const verify = request.jwtVerify as unknown as (
    options: undefined,
    done: (error?: Error | null, payload?: unknown) => void,
  ) => void
  verify.call(request, undefined, (error, payload) => {
    outcome = { error, payload }
  })
  request.user = null as never // set by the plugin from the raw payload; only accepted claims go on
  if (outcome === undefined) throw new Error('@fastify/jwt did not answer at once')
  if (outcome.error) throw asTokenFailure(outcome.error)
  return outcome.payload
}

/** Every failure of a token is one 401. @fastify/jwt answers 500 to many hostile tokens (wrong typ, far nbf, unknown crit). */
export function asTokenFailure(error: Error & { code?: string }): AppError {
  if (error instanceof AppError) return error
  return new AppError('invalid_token', { reason: `${error.code ?? error.name}: ${error.message}`.slice(0, 200) })
}
