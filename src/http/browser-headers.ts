import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import Fastify from 'fastify'
import type { App } from './app-type.ts'

/** Headers for browsers: a JSON API needs nothing from anywhere, and only listed origins may read its answers. */
export async function registerBrowserHeaders(app: App, origins: readonly string[]): Promise<void> {
  const headers = await securityHeaders()
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
  if (origins.length === 0) return
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type'],
    exposedHeaders: ['www-authenticate', 'retry-after', 'x-request-id'],
    credentials: true, // the refresh cookie of a listed origin
    maxAge: 600,
    strictPreflight: false, // else the plugin answers a plain OPTIONS itself, and not as our errors are
  })
}

/**
 * What @fastify/helmet would say, asked once: the plugin builds its middleware anew for every request and waits for two promises,
 * and its answer is always the same.
 */
async function securityHeaders(): Promise<Record<string, string>> {
  const probe = Fastify()
  await probe.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    crossOriginResourcePolicy: { policy: 'cross-origin' }, // CORS decides, not the older rule
    referrerPolicy: { policy: 'no-referrer' },
    frameguard: { action: 'deny' },
  })
  probe.get('/', (_request, reply) => reply.code(204).send())
  const { headers } = await probe.inject('/')
  await probe.close()
  const own = ['date', 'connection', 'content-length']
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !own.includes(name))) as Record<string, string>
}
