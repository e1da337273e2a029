import cookie from '@fastify/cookie'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { AppError } from '../errors/app-error.ts'
import type { App } from '../http/app-type.ts'
import { trustedOrigins, whyCrossSite } from '../http/cross-site.ts'
import { issuerPath } from '../http/issuer-path.ts'

/**
 * What a request carries. `former`: only the cookie of Signet 0.2 and before. `twice`: more than one of that name, and
 * nobody can tell which of them this server set.
 */
export type CookieState = 'absent' | 'present' | 'former' | 'twice'

/**
 * The cookie that holds the refresh token of a browser, where scripts can't read it. The access token is always sent as
 * Bearer.
 */
export interface RefreshCookie {
  state(request: FastifyRequest): CookieState
  /** The refresh token of a cookie that is `present` or `former`, else undefined. */
  read(request: FastifyRequest): string | undefined
  /** @param maxAge seconds */
  set(reply: FastifyReply, refreshToken: string, maxAge: number): void
  clear(reply: FastifyReply): void
  /**
   * Refuses a request that carries the cookie but may come from another site. For the onRequest hook of a route.
   * Browsers don't send a SameSite=Strict cookie with cross-site requests: this is a second defence.
   */
  readonly sameSiteOnly: onRequestHookHandler
}

/**
 * Registers the routes that use the cookie in a Fastify scope of their own, so that other routes don't parse cookies.
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

/** The cookie of Signet 0.2 and before on an https issuer. It is still read, until the next answer clears it. */
const FORMER = '__Secure-signet_refresh'
const FORMER_PATH = '/v1'

function createRefreshCookie(options: { issuer: string; origins: readonly string[] }): RefreshCookie {
  const { name, former, ...place } = nameAndPlace(options.issuer)
  const attributes = { httpOnly: true, sameSite: 'strict', ...place } as const
  const trusted = trustedOrigins(options)

  const state = ({ headers }: FastifyRequest): CookieState => {
    const own = occurrences(headers.cookie, name)
    if (own > 0) return own === 1 ? 'present' : 'twice'
    const before = former === undefined ? 0 : occurrences(headers.cookie, former)
    return before > 1 ? 'twice' : before === 1 ? 'former' : 'absent'
  }
  /** Only where it came from: another Signet of this host may still use a cookie of that name. */
  const clearFormer = (reply: FastifyReply) => {
    if (former === undefined || occurrences(reply.request.headers.cookie, former) === 0) return
    reply.clearCookie(former, { ...attributes, path: FORMER_PATH })
  }

  return {
    state,
    read(request) {
      const found = state(request)
      if (found === 'present') return request.cookies[name]
      return found === 'former' && former !== undefined ? request.cookies[former] : undefined
    },
    set(reply, refreshToken, maxAge) {
      reply.setCookie(name, refreshToken, { ...attributes, maxAge })
      clearFormer(reply)
    },
    clear(reply) {
      reply.clearCookie(name, attributes)
      clearFormer(reply)
    },
    sameSiteOnly(request, _reply, done) {
      if (state(request) === 'absent') return done()
      const reason = whyCrossSite(request.headers, trusted)
      done(reason === undefined ? undefined : new AppError('cross_site_request', { reason }))
    },
  }
}

/**
 * On https, `__Host-` (RFC 6265bis section 4.1.3.2): a browser takes such a cookie from this host only, over TLS and
 * for `Path=/`. So no sibling subdomain can push its own and put a person into the account of somebody else. Because
 * the path is no part of it, the name says which issuer of the host it belongs to.
 *
 * On plain http, for development, browsers would refuse that.
 */
function nameAndPlace(issuer: string): { name: string; path: string; secure: boolean; former?: string } {
  const path = issuerPath(issuer)
  if (!issuer.startsWith('https:')) return { name: 'signet_refresh', path: `${path}/v1`, secure: false }
  return { name: `__Host-signet_refresh${asNamePart(path)}`, path: '/', secure: true, former: FORMER }
}

/** `/auth/one` becomes `.auth.one`, and what could be taken for something else is escaped: no two paths become one. */
function asNamePart(path: string): string {
  return path.replaceAll(/[^A-Za-z0-9_-]/g, (char) =>
    char === '/' ? '.' : `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/** Parsers of cookies keep one of several and say nothing. */
function occurrences(header: string | undefined, name: string): number {
  if (header === undefined) return 0
  return header.split(';').filter((pair) => pair.split('=', 1)[0]?.replace(/^[ \t]+|[ \t]+$/g, '') === name).length
}
