import cookie from '@fastify/cookie'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { AppError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'

/**
 * The cookie that holds the refresh token of a browser, where scripts can't read it. The access token is always sent as
 * Bearer.
 */
export interface RefreshCookie {
  read(request: FastifyRequest): string | undefined
  /** @param maxAge seconds */
  set(reply: FastifyReply, refreshToken: string, maxAge: number): void
  clear(reply: FastifyReply): void
  /** Refuses a request that carries the cookie but may come from another site. For the onRequest hook of a route. */
  readonly sameSiteOnly: onRequestHookHandler
}

/**
 * Registers the routes that use the cookie in a Fastify scope of their own, so that other routes don't parse cookies.
 * When the issuer is https, the cookie gets the prefix `__Secure-` (RFC 6265bis section 4.1.3) and the attribute
 * `Secure`.
 *
 * @param options.origins browser origins that may call the API; the issuer's own is always one of them
 */
export async function registerRefreshCookie(
  app: App,
  options: { issuer: string; origins: readonly string[] },
  routes: (scope: App, refreshCookie: RefreshCookie) => void,
): Promise<void> {
  const refreshCookie = createRefreshCookie(options)
  await app.register(async (scope) => {
    await scope.register(cookie)
    routes(scope as App, refreshCookie)
  })
}

function createRefreshCookie(options: { issuer: string; origins: readonly string[] }): RefreshCookie {
  const { origin, protocol } = new URL(options.issuer)
  const secure = protocol === 'https:'
  const name = secure ? '__Secure-signet_refresh' : 'signet_refresh'
  const attributes = { httpOnly: true, secure, sameSite: 'strict', path: '/v1' } as const
  const allowed = new Set([origin, ...options.origins])

  return {
    read: (request) => request.cookies[name],
    set: (reply, refreshToken, maxAge) => void reply.setCookie(name, refreshToken, { ...attributes, maxAge }),
    clear: (reply) => void reply.clearCookie(name, attributes),
    sameSiteOnly(request, _reply, done) {
      if (request.cookies[name] === undefined) return done()
      const reason = whyCrossSite(request.headers, allowed)
      done(reason === undefined ? undefined : new AppError('cross_site_request', { reason }))
    },
  }
}

/**
 * Browsers don't send a SameSite=Strict cookie with cross-site requests. This is a second defence (OWASP CSRF: Fetch
 * Metadata and origin checks).
 *
 * @returns the reason to refuse, or undefined when the request comes from an allowed origin
 */
function whyCrossSite(headers: FastifyRequest['headers'], allowed: ReadonlySet<string>): string | undefined {
  const { origin, 'sec-fetch-site': site, 'content-type': type = '' } = headers
  if (!/^application\/json\s*(;|$)/i.test(type)) return 'the body is not JSON, as a form can send it'
  if (site === 'cross-site') return 'Sec-Fetch-Site is cross-site'
  if (origin !== undefined) return allowed.has(origin) ? undefined : 'Origin is not on the list'
  return site === 'same-origin' || site === 'same-site'
    ? undefined
    : 'neither Origin nor Sec-Fetch-Site says where it comes from'
}
