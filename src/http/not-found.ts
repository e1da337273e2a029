import { AppError } from '../errors/app-error.ts'
import type { App } from './app-type.ts'

/**
 * 404 for an unknown path, 405 with `Allow` for a known one (RFC 9110 section 15.5.6). The response never repeats the
 * path.
 */
export function registerNotFound(app: App): void {
  const routes: { pattern: RegExp; methods: string[] }[] = []

  app.addHook('onRoute', ({ url, method }) => {
    if (url === '*') return // the preflight route of @fastify/cors
    routes.push({ pattern: pathPattern(url), methods: [method].flat() })
  })
  app.setNotFoundHandler((request) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const allowed = new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods))
    if (allowed.size === 0 || allowed.has(request.method)) throw new AppError('not_found')
    throw new AppError('method_not_allowed', { headers: { allow: [...allowed].sort().join(', ') } })
  })
}

function pathPattern(url: string): RegExp {
  const source = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : part === '*' ? '.*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('/')
  return new RegExp(`^${source}$`)
}
