import swagger from '@fastify/swagger'
import type { FastifyContextConfig } from 'fastify'
import { ERRORS, type ErrorCode, errorRow } from '../errors/app-error.ts'
import { OAUTH_ERRORS, type OAuthErrorCode, oauthErrorRow } from '../errors/oauth-error.ts'
import { ANY_ORIGIN } from './any-origin.ts'
import type { App } from './app-type.ts'
import { registerDocsPage } from './docs-page.ts'
import { ERROR_EXAMPLES, examplesOf } from './error-examples.ts'
import { named, withComponents } from './openapi-schemas.ts'
import { operationId, whoMayCall } from './operation.ts'
import { createPreparedBody } from './prepared-body.ts'
import { OAuthProblem, Problem } from './schemas.ts'

/**
 * `GET /openapi.json`, and the interactive page `GET /docs` if it is wanted. Registered before the routes, so that it
 * sees each of them.
 *
 * @param options.path of the issuer, without a slash at its end: the `servers` of the document
 */
export async function registerDocs(
  app: App,
  options: { version: string; path: string; page: boolean; pageHeaders: Record<string, string> },
): Promise<void> {
  await app.register(swagger, {
    // Only the document lists the errors: as reply schemas, Fastify would compile a serializer for every error of every
    // route.
    transform: ({ schema, url, route }) => ({
      url,
      schema: {
        operationId: operationId(String(route.method), url),
        ...schema,
        description: [whoMayCall(route.config ?? {}), schema?.description ?? ''].join(' ').trim(),
        ...documented(route.config ?? {}, (schema ?? {}) as Documented),
      },
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
        examples: ERROR_EXAMPLES,
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

  // Whoever names no coding gets plain JSON: many programs that read the document can't decompress.
  const document = createPreparedBody(
    async () => Buffer.from(JSON.stringify(withComponents(app.swagger()))),
    'identity',
  )
  app.get('/openapi.json', { config: { auth: 'public', cors: false }, schema: DOCUMENT }, (request, reply) =>
    document.send(
      request,
      reply.type('application/json; charset=utf-8').header('cache-control', 'public, no-cache').headers(ANY_ORIGIN),
    ),
  )
  if (options.page) await registerDocsPage(app, options)
}

const DOCUMENT = { hide: true, summary: 'This API as an OpenAPI 3.1 document' }

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
    const refusals = refused(codes, 'application/json', 'oauth_', OAuthProblem, (code) => ({
      status: oauthErrorRow(code).status,
      text: OAUTH_ERRORS[code].description,
    }))
    return { security: [{ client: [] }, {}], response: { ...refusals, ...answered(schema) } }
  }
  const refusals = refused(problemCodes(config, schema), 'application/problem+json', '', Problem, (code) => ({
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
  add(
    [config.roles, config.scope, config.anyOf].some((demand) => demand !== undefined),
    'insufficient_scope',
  )
  add(config.maxAuthAge !== undefined, 'insufficient_user_authentication')
  add(config.limit !== undefined, 'too_many_requests', 'overloaded')
  add(config.limit !== undefined && auth === 'public', 'cross_site_request')
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

/** In Markdown `<token>` would be an HTML element, and shown as nothing. */
const asMarkdown = (text: string) => text.replaceAll(/<\w+>/g, '`$&`')

/** One entry per status, which lists every code with that status. */
function refused<Code extends string>(
  codes: ReadonlySet<Code>,
  type: string,
  prefix: '' | 'oauth_',
  schema: object,
  row: (code: Code) => { status: number; text: string },
): Record<string, unknown> {
  const response: Record<string, unknown> = {}
  for (const [status, list] of Object.entries(Object.groupBy(codes, (code) => String(row(code).status)))) {
    const codes = list ?? []
    response[status] = {
      description: codes.map((code) => `\`${code}\`: ${asMarkdown(row(code).text)}`).join('\n\n'),
      content: { [type]: { schema: named(schema), examples: examplesOf(codes, prefix) } },
    }
  }
  return response
}
