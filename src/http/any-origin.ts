import type { App } from './app-type.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** False for a document that any origin may read: `CORS_ORIGINS` has no say in it. */
    cors?: false
  }
}

/** How long a browser may remember a preflight. */
const PREFLIGHT_MAX_AGE_SECONDS = 600

/** The headers with which a page of any origin may read a public document, and know its entity tag. */
export const ANY_ORIGIN = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'etag',
} as const

/**
 * Answers the preflight of the public documents (Fetch standard, CORS protocol): a page of any origin may ask for them
 * with any header, `If-None-Match` above all. Nothing is allowed that needs credentials.
 *
 * A public document is a GET route with `cors: false`, which answers with `ANY_ORIGIN`. A hook and no routes of its
 * own: a preflight changes nothing, asks for nothing, and is no method of these addresses.
 */
export function registerAnyOriginPreflight(app: App): void {
  const paths = new Set<string>()
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.cors === false && [method].flat().includes('GET')) paths.add(url)
  })
  app.addHook('onRequest', (request, reply, done) => {
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return done()
    if (!paths.has(request.url.split('?', 1)[0] ?? '')) return done()
    reply
      .headers({
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'GET, HEAD',
        'access-control-allow-headers': '*, authorization', // the wildcard does not stand for this one
        'access-control-max-age': PREFLIGHT_MAX_AGE_SECONDS,
      })
      .code(204)
      .send()
  })
}
