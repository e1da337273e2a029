import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import Fastify from 'fastify'
import type { App } from './app-type.ts'

/** What only a page needs, and no answer of an API: on every answer it would cost as much as the look-up of a token. */
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
 * Headers for browsers: a JSON API needs nothing from anywhere, and only listed origins may read its answers.
 *
 * @param options.https false where the issuer is plain http: HSTS has no meaning there (RFC 6797 section 7.2)
 * @returns what a page for people needs besides
 */
export async function registerBrowserHeaders(
  app: App,
  { origins, https }: { origins: readonly string[]; https: boolean },
): Promise<Record<string, string>> {
  const all = Object.entries(await securityHeaders())
  const [forPages = [], forEveryAnswer = []] = [true, false].map((page) =>
    all.filter(([name]) => FOR_PAGES.includes(name) === page && (https || name !== 'strict-transport-security')),
  )
  const headers = Object.fromEntries(forEveryAnswer)
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
  await registerCors(app, origins)
  return Object.fromEntries(forPages)
}

async function registerCors(app: App, origins: readonly string[]): Promise<void> {
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
