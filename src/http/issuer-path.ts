import type { App } from './app-type.ts'

/** The path of the issuer, without a slash at its end: `/auth` for `https://example.com/auth`, else empty. */
export function issuerPath(issuer: string): string {
  const { pathname } = new URL(issuer)
  return pathname === '/' ? '' : pathname
}

/**
 * Serves every route below the path of the issuer too. A proxy may then strip that path or keep it, and nobody has to
 * say which.
 *
 * The path is taken off only where a route could follow. So an issuer may have a path that begins as a route does:
 * behind a proxy that strips, `/v1/login` of `https://example.com/v1` stays what it is.
 *
 * @returns options of Fastify, and a function that learns the routes: call it before the first of them
 */
export function servedBelow(path: string): {
  options: { rewriteUrl?: (request: { url?: string | undefined }) => string }
  learnRoutes: (app: App) => void
} {
  if (path === '') return { options: {}, learnRoutes: () => undefined }
  const firstSegments = new Set<string>()
  const rewriteUrl = ({ url = '/' }: { url?: string | undefined }) => {
    if (!url.startsWith(path)) return url
    const rest = url.slice(path.length)
    const [, segment] = /^\/([^/?]*)/.exec(rest) ?? []
    return segment !== undefined && firstSegments.has(segment) ? rest : url
  }
  const learnRoutes = (app: App) => {
    app.addHook('onRoute', ({ url }) => {
      const [, segment] = url.split('/')
      if (segment !== undefined) firstSegments.add(segment)
    })
  }
  return { options: { rewriteUrl }, learnRoutes }
}
