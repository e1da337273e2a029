import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import Fastify from 'fastify'
import { registerAnyOriginPreflight } from './any-origin.ts'
import type { App } from './app-type.ts'

/**
 * Headers that matter for an HTML page and not for an API response. Sending them with every response would cost as much
 * as looking up a token in the cache.
 */
const FOR_PAGES = [
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'origin-agent-cluster',
  'referrer-policy',
  'x-dns-prefetch-control',
  'x-download-options',
  'x-frame-options',
  'x-permitted-cross-domain-policies',
  'x-xss-protection',
]

/**
 * Sets the security headers for browsers: a JSON API loads nothing from anywhere.
 *
 * @param options.https false where the issuer is plain http: HSTS has no meaning there (RFC 6797 section 7.2)
 * @returns the additional headers for an HTML page
 */
export async function registerBrowserHeaders(app: App, { https }: { https: boolean }): Promise<Record<string, string>> {
  const all = Object.entries(await securityHeaders())
  const [forPages = [], forEveryAnswer = []] = [true, false].map((page) =>
    all.filter(([name]) => FOR_PAGES.includes(name) === page && (https || name !== 'strict-transport-security')),
  )
  const headers = Object.fromEntries(forEveryAnswer)
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
  return Object.fromEntries(forPages)
}

/**
 * Only scripts of the listed origins may read the answers, and those of any origin the public documents. Preflights are
 * answered here: hooks that bound what a connection may do must be registered before.
 */
export async function registerCors(app: App, origins: readonly string[]): Promise<void> {
  registerAnyOriginPreflight(app)
  if (origins.length === 0) return
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type'],
    exposedHeaders: [
      'www-authenticate',
      'retry-after',
      'ratelimit-limit',
      'ratelimit-remaining',
      'ratelimit-reset',
      'x-request-id',
    ],
    credentials: true, // the refresh cookie of a listed origin
    maxAge: 600,
    strictPreflight: false, // otherwise the plugin answers a plain OPTIONS itself, in another format than our errors
  })
}

/**
 * The headers that @fastify/helmet sets, asked for once and kept: the plugin builds its middleware anew for every
 * request and waits for two promises, and the result is always the same.
 */
async function securityHeaders(): Promise<Record<string, string>> {
  const probe = Fastify()
  await probe.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    crossOriginResourcePolicy: { policy: 'cross-origin' }, // which origins may read a response is decided by CORS
    referrerPolicy: { policy: 'no-referrer' },
    frameguard: { action: 'deny' },
  })
  probe.get('/', (_request, reply) => reply.code(204).send())
  const { headers } = await probe.inject('/')
  await probe.close()
  const own = ['date', 'connection', 'content-length']
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !own.includes(name))) as Record<string, string>
}
