import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import type { App } from './app-type.ts'

/** Headers for browsers: a JSON API needs nothing from anywhere, and only listed origins may read its answers. */
export async function registerBrowserHeaders(app: App, origins: readonly string[]): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    crossOriginResourcePolicy: { policy: 'cross-origin' }, // CORS decides, not the older rule
    referrerPolicy: { policy: 'no-referrer' },
  })
  if (origins.length === 0) return
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type'],
    exposedHeaders: ['www-authenticate', 'retry-after', 'x-request-id'],
    maxAge: 600,
    strictPreflight: false, // else the plugin answers a plain OPTIONS itself, and not as our errors are
  })
}
