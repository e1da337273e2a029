import fastifyJwt from '@fastify/jwt'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { App } from '../http/app-type.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import type { Verdict } from '../revocations/revocation-set.ts'
import { assertDemands, authorize } from './authorize.ts'
import {
  ACCESS_TOKEN_TYPE,
  type AccessTokenClaims,
  acceptClaims,
  type ClaimsPolicy,
  REQUIRED_CLAIMS,
} from './claims.ts'
import { authorizationLine, bearerToken, unverifiedKid } from './credential.ts'
import { type VerifiedToken, VerifiedTokens } from './verified-tokens.ts'

/**
 * What a route asks for. Nothing said means `token`: a route is open only when it says so. `live` adds one look at the session
 * and account rows, for what must not happen in the second that a revocation takes.
 */
export type RouteAuth = 'token' | 'live' | 'public'
const ROUTE_AUTH: readonly unknown[] = [undefined, 'token', 'live', 'public']

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: AccessTokenClaims
    user: AccessTokenClaims
  }
}

export interface GuardOptions {
  readonly keyring: Pick<LiveKeyring, 'verificationPem'>
  readonly policy: ClaimsPolicy
  readonly now: Clock
  /** Most entries of a generation of the verified-token cache. */
  readonly cacheSize: number
  readonly revocations: {
    judge(claims: AccessTokenClaims): Verdict
    /** True when the set is older than the setting allows, and the policy is to refuse then. */
    isTooOld(): boolean
  }
  /** The look of `auth: 'live'`. Rejects with the AppError to answer. */
  readonly live: (claims: AccessTokenClaims) => Promise<void>
}

/**
 * The guard: one hook at the root, default deny. It runs before every route of the server, whoever adds it and when.
 *
 * The order of its checks: one Authorization line, Bearer, canonical parts, header, known kid,
 * signature and pinned claims (@fastify/jwt), our own judgement of the claims. No await, no I/O.
 *
 * @throws TypeError at boot when the policy would switch a check off
 */
export async function registerGuard(app: App, options: GuardOptions): Promise<void> {
  const { keyring, policy, now, revocations } = options
  const verified = new VerifiedTokens(options.cacheSize)
  await app.register(fastifyJwt, pluginOptions(keyring, policy))

  app.addHook('onRoute', ({ url, config }) => {
    if (!ROUTE_AUTH.includes(config?.auth)) {
      throw new TypeError(
        `route ${url}: config.auth is ${JSON.stringify(config?.auth)}, and only "token", "live" and "public" are known`,
      )
    }
    assertDemands(url, config?.auth, config ?? {})
  })

  app.addHook('onRequest', function guard(request, reply, done) {
    const { config } = request.routeOptions
    if (config.auth === 'public' || request.is404) return done()
    reply.header('cache-control', 'no-store')
    try {
      request.user = authenticate(request)
      authorize(request.user, config, now())
    } catch (error) {
      return done(error as Error)
    }
    if (config.auth !== 'live') return done()
    options.live(request.user).then(() => done(), done)
  })

  function authenticate(request: FastifyRequest): AccessTokenClaims {
    const line = authorizationLine(request.raw.rawHeaders)
    if (line === undefined) throw new AppError('missing_token')
    const token = bearerToken(line)
    const known = verified.get(token)
    if (known !== undefined) return notWithdrawn(stillGood(token, known))

    const kid = unverifiedKid(token)
    if (keyring.verificationPem(kid) === undefined) throw new AppError('invalid_token', { reason: 'unknown kid' })
    const claims = acceptClaims(verifiedPayload(request), policy, now())
    verified.put(token, { kid, claims })
    return notWithdrawn(claims)
  }

  /** After the signature: what is withdrawn is told only to who holds a good token. */
  function notWithdrawn(claims: AccessTokenClaims): AccessTokenClaims {
    if (revocations.isTooOld()) throw new AppError('revocations_stale')
    const verdict = revocations.judge(claims)
    if (verdict === 'good') return claims
    throw new AppError(verdict === 'stale' ? 'token_stale' : 'invalid_token', { reason: `withdrawn: ${verdict}` })
  }

  function stillGood(token: string, { kid, claims }: VerifiedToken): AccessTokenClaims {
    const withdrawn = keyring.verificationPem(kid) === undefined
    if (!withdrawn && claims.exp > now() - policy.skew) return claims
    verified.drop(token)
    throw withdrawn ? new AppError('invalid_token', { reason: 'its key was withdrawn' }) : new AppError('token_expired')
  }
}

/**
 * @fastify/jwt in verify-only mode: it never sees a private key. Called without options and with PEM text it keeps one verifier
 * per key; with anything else it builds one per request. An `algorithms` that is text, or an empty audience, silently switches
 * the check off in fast-jwt, so both are asserted here.
 */
function pluginOptions(keyring: Pick<LiveKeyring, 'verificationPem'>, policy: ClaimsPolicy) {
  const audience = [...policy.audience]
  if (typeof policy.issuer !== 'string' || policy.issuer === '') throw new TypeError('the guard needs an issuer')
  if (audience.length === 0 || audience.some((item) => typeof item !== 'string' || item === '')) {
    throw new TypeError('the guard needs an audience')
  }
  if (!(policy.maxLifetime > 0 && policy.skew >= 0 && Number.isFinite(policy.maxLifetime + policy.skew))) {
    throw new TypeError('the guard needs a maximum lifetime and a skew') // nothing is above NaN
  }
  return {
    secret: {
      public: (_request: unknown, unverified: unknown, done: (error: Error | null, pem?: string) => void) => {
        const pem = keyring.verificationPem((unverified as { header: { kid: string } }).header.kid)
        // Never undefined: @fastify/jwt would take the function itself for the key.
        if (pem === undefined) return done(new AppError('invalid_token', { reason: 'unknown kid' }))
        done(null, pem)
      },
    },
    decode: { complete: true },
    verify: {
      algorithms: ['RS256' as const],
      allowedIss: policy.issuer,
      allowedAud: audience,
      checkTyp: ACCESS_TOKEN_TYPE,
      requiredClaims: [...REQUIRED_CLAIMS],
      // Time is judged by acceptClaims alone, last of all and by one clock: only a token that is good otherwise is called expired.
      ignoreExpiration: true,
      ignoreNotBefore: true,
      cache: false, // it knows nothing of withdrawn keys
      extractToken: (request: FastifyRequest) => bearerToken(request.headers.authorization ?? ''),
    },
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
  verify.call(request, undefined, (error, payload) => {
    outcome = { error, payload }
  })
  request.user = null as never // set by the plugin from the raw payload; only accepted claims go on
  if (outcome === undefined) throw new Error('@fastify/jwt did not answer at once')
  if (outcome.error) throw asTokenFailure(outcome.error)
  return outcome.payload
}

/** Every failure of a token is one 401. @fastify/jwt answers 500 to many hostile tokens (wrong typ, far nbf, unknown crit). */
function asTokenFailure(error: Error & { code?: string }): AppError {
  if (error instanceof AppError) return error
  return new AppError('invalid_token', { reason: `${error.code ?? error.name}: ${error.message}`.slice(0, 200) })
}
