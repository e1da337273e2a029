/**
 * The endpoints of `/oauth/*` and their rules: token, revocation, introspection, metadata (RFC 6749, 7009, 7662, 8414),
 * with forms as input and errors in OAuth's own format. Client records and client authentication belong to `clients/`;
 * the sessions behind the refresh grant to `sessions/`.
 */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError, errorRow } from '../errors/app-error.ts'
import { OAuthError, type OAuthErrorCode, oauthErrorRow } from '../errors/oauth-error.ts'
import type { Refusal } from '../errors/refusals.ts'
import type { App } from '../http/app-type.ts'
import { acceptNoBytes } from '../http/empty-body.ts'
import { asAppError } from '../http/error-handler.ts'
import { parseForm } from './form-body.ts'

/** Called for every error response, with the word of a refused token or caller where there is one. */
type Refused = (code: OAuthErrorCode, refusal?: Refusal) => void

const FORM = 'application/x-www-form-urlencoded'

/**
 * Registers the routes of `/oauth/*` in a Fastify scope of their own: bodies are forms, and errors have the format of
 * RFC 6749 section 5.2.
 *
 * @param refused called for every error response
 */
export async function registerOAuth(app: App, refused: Refused, routes: (scope: App) => void): Promise<void> {
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    acceptNoBytes(scope as App)
    scope.addContentTypeParser(FORM, { parseAs: 'buffer' }, (request, body, done) => {
      try {
        const [, charset = 'utf-8'] = /;\s*charset="?([^";\s]+)/i.exec(request.headers['content-type'] ?? '') ?? []
        done(null, parseForm(body as Buffer, { asciiOnly: !/^utf-?8$/i.test(charset) }))
      } catch (error) {
        done(error as Error)
      }
    })
    scope.setErrorHandler((error, request, reply) => sendOAuthError(error, refused, request, reply))
    scope.addHook('onRequest', (request, reply, done) => {
      reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' }) // RFC 6749 section 5.1
      // Section 2.3.1: credentials must never be in a URL, where logs and histories keep them. No parameter is accepted
      // there. An authorization request (section 4.1.1) has no credential, and is one query.
      const query = request.method === 'POST' ? (request.url.split('?', 2)[1] ?? '') : ''
      done(query === '' ? undefined : new OAuthError('invalid_request', 'a query', 'Parameters belong in the body.'))
    })
    routes(scope as App)
  })
}

function sendOAuthError(thrown: unknown, refused: Refused, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (thrown instanceof AppError) reply.headers(thrown.headers)
  const { error, retryAfter } = asOAuthError(thrown, request)
  const row = oauthErrorRow(error.code)
  const refusal = thrown instanceof AppError ? thrown.refusal : undefined
  refused(error.code, refusal)
  const entry = { code: error.code, refusal, reason: error.message }
  if (error.code === 'server_error') request.log.error({ ...entry, err: error.cause }, 'refused')
  else request.log[row.status >= 500 ? 'warn' : 'info'](entry, 'refused')

  // RFC 9110 section 15.5.2 requires a challenge with every 401, RFC 6749 one after a failed Basic authentication.
  if (row.status === 401) reply.header('www-authenticate', 'Basic realm="signet", charset="UTF-8"')
  if (row.retryAfter !== undefined) reply.header('retry-after', retryAfter ?? row.retryAfter)
  const body = { error: error.code, error_description: error.description }
  return reply.code(row.status).type('application/json; charset=utf-8').send(JSON.stringify(body))
}

function asOAuthError(
  thrown: unknown,
  request: FastifyRequest,
): { error: OAuthError; retryAfter?: number | undefined } {
  if (thrown instanceof OAuthError) return { error: thrown }
  const { code, reason = code, fields = [], cause } = asAppError(thrown, request)
  const { status, title, retryAfter } = errorRow(code)
  if (status === 503) return { error: new OAuthError('temporarily_unavailable', reason), retryAfter }
  if (status >= 500) return { error: Object.assign(new OAuthError('server_error', reason), { cause }) }
  if (status === 429) return { error: new OAuthError('too_many_requests', reason) }
  if (code === 'invalid_refresh_token') return { error: new OAuthError('invalid_grant', reason) }
  return { error: new OAuthError('invalid_request', reason, described(code, title, fields)) }
}

function described(code: string, title: string, fields: AppError['fields'] & object): string {
  if (code === 'unsupported_media_type') return `The body must be ${FORM}.`
  const names = fields.map(({ field }) => field.slice(1)).filter((name) => /^\w[\w/]*$/.test(name))
  return names.length === 0 ? title : `Missing or not acceptable: ${[...new Set(names)].join(', ')}.`
}
