import type { FastifyContextConfig, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { assertPlace, assertRouteDemands, assertSpelling, authorize, type Held } from './authorize.ts'
import type { AccessTokenClaims } from './claims.ts'
import { requestToken } from './credential.ts'
import { isPromise } from './verify.ts'

/**
 * How a route authenticates its caller. The default is `token`: a route is public only when it says so. `live` also
 * reads the rows of the session and the account, for actions that must not happen in the second that a revocation takes
 * to arrive.
 */
export type RouteAuth = 'token' | 'live' | 'public'
const ROUTE_AUTH: readonly unknown[] = [undefined, 'token', 'live', 'public']

declare module 'fastify' {
  interface FastifyRequest {
    /** The claims of the caller's token; null on a public route. */
    user: AccessTokenClaims
  }
  interface FastifyContextConfig {
    /** Default: `token`. A route is open only when it says `public`. */
    auth?: RouteAuth
    /** At least one of these roles; else 403. */
    roles?: readonly string[]
    /** All of these scopes; else 403. */
    scope?: readonly string[]
    /** One of these is enough, for example `[{ roles: ['admin'] }, { scope: ['orders:read'] }]`; else 403. */
    anyOf?: readonly Held[]
    /** The login was at most this many seconds ago; else 401 with RFC 9470's `insufficient_user_authentication`. */
    maxAuthAge?: number
  }
}

export interface GuardOptions {
  /**
   * Returns the claims of a good token; throws or rejects with the AppError to answer. It returns a promise only when a
   * key has to be fetched, or when this process stood still and has to look first at what was revoked.
   */
  readonly verify: (token: string) => AccessTokenClaims | Promise<AccessTokenClaims>
  readonly now: Clock
  /** The check of `auth: 'live'`: rejects with the AppError to answer. Without it no route may ask for `live`. */
  readonly live?: (claims: AccessTokenClaims, request: FastifyRequest) => Promise<void>
  /**
   * Told of each caller whose good token does not allow what the route asks for (403). The answer waits for it, and is
   * the same when it rejects.
   */
  readonly denied?: (error: AppError, request: FastifyRequest) => Promise<void>
  /** Sends the response to a refusal. Without it the error goes to the error handler of the app. */
  readonly refuse?: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void
  /**
   * The names that the `config` of a route may have beside the demands; any other stops the boot. Absent in an app
   * whose other plugins have names of their own: then only misspelled demands stop it.
   */
  readonly configNames?: readonly string[]
}

/** The part of a Fastify instance that the guard needs, whatever its type provider is. */
type Guardable = Pick<FastifyInstance, 'addHook' | 'decorateRequest' | 'hasRequestDecorator'>

/**
 * The guard: one hook at the root, default deny. It runs before every route of the server, whoever adds the route and
 * when.
 *
 * @throws TypeError at boot, for a route whose demands are misspelled or would have no effect
 */
export function registerGuard(app: Guardable, options: GuardOptions): void {
  const { verify, now, live, denied, refuse, configNames } = options
  if (!app.hasRequestDecorator('user')) app.decorateRequest('user', null as never)
  app.addHook('onRoute', (route) => assertRoute(route, live !== undefined, configNames))
  const asserted = new WeakSet<object>()

  app.addHook('onRequest', function guard(request, reply, done) {
    if (request.is404) return done()
    const { config, url = '' } = request.routeOptions
    const fail = (error: unknown) => (refuse === undefined ? done(error as Error) : refuse(error, request, reply))
    // A route that was added before the guard was seen by no `onRoute` hook. Its slips must not let anybody in.
    if (!asserted.has(config)) {
      try {
        assertSpelling(url, config)
        assertConfig(url, config, live !== undefined)
      } catch (error) {
        return fail(error)
      }
      asserted.add(config)
    }
    if (config.auth === 'public') return done()
    reply.header('cache-control', 'no-store')

    const admit = (caller: AccessTokenClaims) => {
      request.user = caller
      try {
        authorize(caller, config, now)
      } catch (error) {
        const isDenial = error instanceof AppError && error.code === 'insufficient_scope'
        if (denied === undefined || !isDenial) return fail(error)
        const refused = () => fail(error)
        return void denied(error, request).then(refused, refused)
      }
      if (config.auth !== 'live' || live === undefined) return done()
      live(caller, request).then(() => done(), fail)
    }

    let caller: AccessTokenClaims | Promise<AccessTokenClaims>
    try {
      caller = verify(requestToken(request.raw))
    } catch (error) {
      return fail(error)
    }
    if (isPromise(caller)) caller.then(admit, fail)
    else admit(caller)
  })
}

/**
 * What a route says of its caller, as it was registered.
 *
 * @param hasLive whether routes may ask for `auth: 'live'`
 * @param configNames the names that may stand beside the demands. Undefined: any that is not a misspelled demand
 * @throws TypeError for a route whose demands are misspelled or would have no effect
 */
export function assertRoute(
  route: { readonly url: string; readonly config?: FastifyContextConfig },
  hasLive: boolean,
  configNames?: readonly string[],
): void {
  assertPlace(route)
  assertSpelling(route.url, route.config ?? {}, configNames)
  assertConfig(route.url, route.config, hasLive)
}

/**
 * @param hasLive whether routes may ask for `auth: 'live'`
 * @throws TypeError for a route whose demands would have no effect
 */
function assertConfig(url: string, config: FastifyContextConfig | undefined, hasLive: boolean): void {
  if (!ROUTE_AUTH.includes(config?.auth)) {
    throw new TypeError(
      `route ${url}: config.auth is ${JSON.stringify(config?.auth)}, and only "token", "live" and "public" are known`,
    )
  }
  if (config?.auth === 'live' && !hasLive)
    throw new TypeError(`route ${url}: config.auth is "live", and only the issuer can look at its sessions`)
  assertRouteDemands(url, config?.auth, config ?? {})
}
