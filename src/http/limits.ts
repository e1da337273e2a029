import rateLimit, { type FastifyRateLimitStore, type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { AppError } from '../errors/app-error.ts'
import { type Limiter, type Quotas, ROUTE_LIMITS, type RouteLimit, tooMany } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { App } from './app-type.ts'

interface Options {
  readonly limiter: Limiter
  readonly quotas: Quotas
  /** Why work of this kind has to be refused now, or undefined when there is room. */
  readonly overload: (limit: RouteLimit) => string | undefined
}

/**
 * Limits of the routes that say `config.limit`, before a body is parsed or a password hashed: first whether there is room at all,
 * then whether this client may. Other routes do not notice, so verification goes on while issuing is refused.
 */
export async function registerLimits(app: App, { limiter, quotas, overload }: Options): Promise<void> {
  // Before the plugin's own onRoute hook, which reads what this one writes.
  app.addHook('onRoute', (route) => {
    const limit = route.config?.limit
    if (limit === undefined) return
    if (!ROUTE_LIMITS.includes(limit)) throw new TypeError(`route ${route.url}: there is no limit ${limit}`)
    if (limit === 'password' && route.config?.auth === 'public')
      throw new TypeError(`route ${route.url}: the limit password is by account, and a public route has none`)
    route.onRequest = [shed(limit), ...[route.onRequest ?? []].flat()]
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

  function shed(limit: RouteLimit): onRequestHookHandler {
    return (_request, _reply, done) => {
      const reason = overload(limit)
      done(reason === undefined ? undefined : new AppError('overloaded', { reason }))
    }
  }
}

function keyOf(request: FastifyRequest): string {
  return request.routeOptions.config.limit === 'password' ? request.user.sub : networkOf(request.ip)
}

/** The plugin's counters, kept by the limiter: on our clock, and in one place for all workers. */
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
