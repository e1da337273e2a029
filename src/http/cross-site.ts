import type { FastifyRequest } from 'fastify'

type Headers = FastifyRequest['headers']

/** The origins whose pages may use this server: the issuer's own and those of `CORS_ORIGINS`. */
export function trustedOrigins({ issuer, origins }: { issuer: string; origins: readonly string[] }) {
  return new Set([new URL(issuer).origin, ...origins]) as ReadonlySet<string>
}

/**
 * For a request with credentials that a browser adds by itself (OWASP CSRF: Fetch Metadata and origin checks).
 *
 * @returns the reason to refuse, or undefined when the request comes from a trusted origin
 */
export function whyCrossSite(headers: Headers, trusted: ReadonlySet<string>): string | undefined {
  const { origin, 'sec-fetch-site': site } = headers
  if (!isJson(headers)) return 'the body is not JSON, as a form can send it'
  if (site === 'cross-site') return 'Sec-Fetch-Site is cross-site'
  if (origin !== undefined) return trusted.has(origin) ? undefined : 'Origin is not on the list'
  return site === 'same-origin' || site === 'same-site'
    ? undefined
    : 'neither Origin nor Sec-Fetch-Site says where it comes from'
}

/**
 * Whether any page can make the browser of its visitor send this request: a form, a beacon, an image, or a fetch
 * without a preflight (Fetch standard, CORS-safelisted requests), whatever its mode is. JSON and `Authorization` need a
 * preflight, which only trusted origins pass. A link or an address that is opened in a tab (GET) is no such request.
 *
 * What has no `Sec-Fetch-Site` is let through: programs, and browsers from before 2023. So is `same-origin`: behind a
 * proxy for development, the origin of our own pages is not the issuer's.
 *
 * @returns the reason to refuse, or undefined
 */
export function whyOfAnyPage(
  { method, headers }: Pick<FastifyRequest, 'method' | 'headers'>,
  trusted: ReadonlySet<string>,
): string | undefined {
  const { origin, authorization, 'sec-fetch-site': site } = headers
  if (site !== 'cross-site' && site !== 'same-site') return undefined
  if (authorization !== undefined || isJson(headers)) return undefined
  if (origin !== undefined && trusted.has(origin)) return undefined
  const isOpened = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
  if (isOpened && (method === 'GET' || method === 'HEAD')) return undefined
  return `Sec-Fetch-Site is ${site}, and Origin is not on the list`
}

function isJson({ 'content-type': type = '' }: Headers): boolean {
  return /^application\/json\s*(;|$)/i.test(type)
}
