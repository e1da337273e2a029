import rateLimit, { type FastifyRateLimitStore, type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { AppError } from '../errors/app-error.ts'
import {
  type Limiter,
  type Quotas,
  ROUTE_LIMITS,
  type RouteLimit,
  type Spending,
  spend,
  tooMany,
} from '../limits/limiter.ts'
import type { App } from './app-type.ts'
import { trustedOrigins, whyOfAnyPage } from './cross-site.ts'
import type { Overload } from './load.ts'
import { networkOfRequest } from './request-source.ts'

interface Options {
  readonly limiter: Limiter
  readonly quotas: Quotas
  /** The error with which such a request must be refused now, if it must. */
  readonly overload: Overload
  /** The origin of the issuer, and `origins`: only their pages may spend the quotas of their visitors. */
  readonly issuer: string
  readonly origins: readonly string[]
}

/**
 * Applies the limits of the routes with `config.limit`, before a body is parsed or a password hashed: first whether the
 * server has room (503), then whether this client has quota left (429). Other routes pay nothing for it, so
 * verification goes on while issuing is refused.
 *
 * On a public route, what any page can make a visitor's browser send is refused before that (403): it would spend the
 * quota of the visitor's network. The other routes need an access token, which no such request carries.
 *
 * @throws TypeError at registration, for a route whose limit does not exist or can't be counted
 */
export async function registerLimits(app: App, { limiter, quotas, overload, ...site }: Options): Promise<void> {
  const trusted = trustedOrigins(site)
  // This hook must run before the plugin's own onRoute hook, which reads the config that this one writes.
  app.addHook('onRoute', (route) => {
    const limit = route.config?.limit
    if (limit === undefined) return
    if (!ROUTE_LIMITS.includes(limit)) throw new TypeError(`route ${route.url}: there is no limit ${limit}`)
    if (limit === 'password' && route.config?.auth === 'public')
      throw new TypeError(`route ${route.url}: the limit password is by session, and a public route has none`)
    const first = route.config?.auth === 'public' ? [ofTrustedPages, shed(limit)] : [shed(limit)]
    route.onRequest = [...first, ...[route.onRequest ?? []].flat()]
    const { limit: max, window } = quotas[limit]
    if (max > 0) route.config = { ...route.config, rateLimit: { max, timeWindow: window * 1000 } }
  })

  await app.register(rateLimit, {
    global: false,
    enableDraftSpec: true,
    keyGenerator: keyOf,
    store: storeOver(limiter),
    errorResponseBuilder: (request, { ttl }) =>
      tooMany(Math.ceil(ttl / 1000), request.routeOptions.config.limit ?? 'route'),
  })

  function ofTrustedPages(request: FastifyRequest, _reply: unknown, done: (error?: Error) => void): void {
    const reason = whyOfAnyPage(request, trusted)
    done(reason === undefined ? undefined : new AppError('cross_site_request', { reason }))
  }

  function shed(limit: RouteLimit): onRequestHookHandler {
    return (request, _reply, done) => done(overload(limit, () => networkOfRequest(request)))
  }
}

type Live<Claims> = (claims: Claims) => Promise<void>

/**
 * The look at the database that `auth: 'live'` asks for, after the quota `store` of the network was asked. The guard
 * looks before any limit of the route, so without it every refused request would still be a query.
 *
 * @returns a function that rejects with AppError `too_many_requests`, or as `live` does
 */
export function limitedLive<Claims>(parts: { live: Live<Claims>; limiter: Spending }) {
  return async (claims: Claims, request: FastifyRequest): Promise<void> => {
    await spend(parts.limiter, 'store', networkOfRequest(request))
    await parts.live(claims)
  }
}

/**
 * A password is counted by session: a stolen token of one session must not keep its owner, who logs in again, from a
 * new password. Guesses are counted by account elsewhere.
 */
function keyOf(request: FastifyRequest): string {
  if (request.routeOptions.config.limit !== 'password') return networkOfRequest(request)
  return request.user.sid ?? request.user.sub
}

/** A store for the plugin that counts in the limiter: with our clock, and in one place for all workers. */
function storeOver(limiter: Limiter): FastifyRateLimitStoreCtor {
  const child = ({ routeInfo }: { routeInfo: { config: { limit: RouteLimit } } }): FastifyRateLimitStore => ({
    incr(key, done, _window, max) {
      limiter
        .spend(routeInfo.config.limit, key)
        .then(
          ({ allowed, remaining, resetIn, retryIn }) =>
            done(
              null,
              allowed ? { current: max - remaining, ttl: resetIn * 1000 } : { current: max + 1, ttl: retryIn * 1000 },
            ),
          done,
        )
    },
    child: () => {
      throw new TypeError('routes have no routes')
    },
  })
  return class {
    readonly child = child as unknown as FastifyRateLimitStore['child']
    incr(): never {
      throw new TypeError('only routes with config.limit are counted')
    }
  }
}
