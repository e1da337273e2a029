import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyContextConfig } from 'fastify'
import { ERRORS, type ErrorCode, errorRow } from '../errors/app-error.ts'
import { OAUTH_ERRORS, type OAuthErrorCode, oauthErrorRow } from '../errors/oauth-error.ts'
import { ANY_ORIGIN } from './any-origin.ts'
import type { App } from './app-type.ts'
import { named, withComponents } from './openapi-schemas.ts'
import { OAuthProblem, Problem } from './schemas.ts'

// swagger-ui sets inline styles. Scripts come from this server only, and the page may call no other server.
const PAGE_POLICY = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'img-src': "'self' data:",
  'font-src': "'self'",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
}

/**
 * `GET /openapi.json` and the interactive page `GET /docs`, offline and under a Content-Security-Policy.
 * Registered before the routes, so that it sees each of them.
 *
 * @param options.path of the issuer, without a slash at its end: links of the page and the document lead there
 */
export async function registerDocs(
  app: App,
  options: { version: string; path: string; pageHeaders: Record<string, string> },
): Promise<void> {
  await app.register(swagger, {
    // Only the document lists the errors: as reply schemas, Fastify would compile a serializer for every error of every
    // route.
    transform: ({ schema, url, route }) => ({
      url,
      schema: { ...schema, ...documented(route.config ?? {}, (schema ?? {}) as Documented) },
    }),
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Signet',
        version: options.version,
        description: 'Stateless tokens you can take back.',
        license: { name: 'Apache-2.0' },
      },
      servers: [{ url: options.path || '/' }], // the server that the page came from: its policy allows no other
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'RFC 6750; the token of POST /v1/login',
          },
          client: { type: 'http', scheme: 'basic', description: 'client_secret_basic, RFC 6749 section 2.3.1' },
        },
      },
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `def-${i}`) },
  })

  let document: string | undefined
  app.get('/openapi.json', { config: { auth: 'public', cors: false }, schema: { hide: true } }, (_request, reply) => {
    document ??= JSON.stringify(withComponents(app.swagger()))
    reply.type('application/json; charset=utf-8').headers(ANY_ORIGIN).send(document)
  })
  await app.register(async (page) => {
    page.addHook('onRoute', (route) => {
      route.config = { ...route.config, auth: 'public' }
    })
    page.addHook('onRequest', (_request, reply, done) => {
      reply.headers(options.pageHeaders)
      done()
    })
    await page.register(swaggerUi, {
      routePrefix: '/docs',
      indexPrefix: options.path,
      staticCSP: PAGE_POLICY,
      uiConfig: { persistAuthorization: false, layout: 'BaseLayout' },
      theme: { title: 'Signet API' },
      // The page fetches the document from a path of the plugin that can't be configured. It is redirected, so that
      // there is one document only.
      uiHooks: {
        onRequest({ routeOptions }, reply, done) {
          if (routeOptions.url === '/docs/static/index.html')
            reply.redirect('../') // its own knows no path
          else if (routeOptions.url === '/docs/json') reply.redirect('../openapi.json')
          else if (routeOptions.url === '/docs/yaml') reply.callNotFound()
          else done()
        },
      },
    })
  })
}

interface Documented {
  readonly body?: unknown
  readonly querystring?: unknown
  readonly params?: unknown
  readonly response?: Readonly<Record<string, { readonly description?: string }>>
}

/**
 * The part of the documentation that a route need not declare: its security, and the errors that every route of its
 * kind can answer with.
 */
function documented(config: FastifyContextConfig, schema: Documented) {
  const { auth = 'token', oauthErrors } = config
  if (oauthErrors !== undefined) {
    const codes = new Set<OAuthErrorCode>([...oauthErrors, 'server_error', 'temporarily_unavailable'])
    if (config.limit !== undefined) codes.add('too_many_requests')
    const refusals = refused(codes, 'application/json', OAuthProblem, (code) => ({
      status: oauthErrorRow(code).status,
      text: OAUTH_ERRORS[code].description,
    }))
    return { security: [{ client: [] }, {}], response: { ...refusals, ...answered(schema) } }
  }
  const refusals = refused(problemCodes(config, schema), 'application/problem+json', Problem, (code) => ({
    status: errorRow(code).status,
    text: ERRORS[code].title,
  }))
  return { security: auth === 'public' ? [] : [{ bearer: [] }], response: { ...refusals, ...answered(schema) } }
}

function problemCodes(config: FastifyContextConfig, schema: Documented): ReadonlySet<ErrorCode> {
  const { auth = 'token', errors = [] } = config
  const codes = new Set<ErrorCode>([...errors, 'malformed_request', 'headers_too_large', 'internal'])
  const add = (applies: boolean, ...more: ErrorCode[]) => {
    for (const code of applies ? more : []) codes.add(code)
  }
  add(
    auth !== 'public',
    'missing_token',
    'invalid_token',
    'token_expired',
    'token_stale',
    'invalid_request',
    'revocations_stale',
  )
  add(auth === 'live', 'store_unavailable', 'too_many_requests', 'overloaded')
  add(config.roles !== undefined || config.scope !== undefined, 'insufficient_scope')
  add(config.maxAuthAge !== undefined, 'insufficient_user_authentication')
  add(config.limit !== undefined, 'too_many_requests', 'overloaded')
  add(schema.body !== undefined, 'invalid_json', 'validation_failed', 'payload_too_large', 'unsupported_media_type')
  add(schema.querystring !== undefined || schema.params !== undefined, 'validation_failed')
  return codes
}

/** The successful responses of a route. */
function answered({ response = {} }: Documented): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(response).map(([status, reply]) => {
      const description = reply.description ?? (status === '204' ? 'Done; no body' : 'The answer')
      return [status, named({ ...reply, description })]
    }),
  )
}

/** One entry per status, which lists every code with that status. */
function refused<Code extends string>(
  codes: ReadonlySet<Code>,
  type: string,
  schema: object,
  row: (code: Code) => { status: number; text: string },
): Record<string, unknown> {
  const response: Record<string, unknown> = {}
  for (const [status, list] of Object.entries(Object.groupBy(codes, (code) => String(row(code).status)))) {
    response[status] = {
      description: (list ?? []).map((code) => `\`${code}\`: ${row(code).text}`).join('\n\n'),
      content: { [type]: { schema: named(schema) } },
    }
  }
  return response
}
