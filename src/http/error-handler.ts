import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify'
import { AppError, type ErrorCode, type FieldError } from '../errors/app-error.ts'
import { type ChallengeParameters, problemResponse } from '../errors/problem.ts'
import type { Refusal } from '../errors/refusals.ts'
import type { App } from './app-type.ts'

const MAX_FIELD_ERRORS = 8

/** Fastify's own errors that a caller can cause, and our code for each. */
const FRAMEWORK_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_VALIDATION: 'validation_failed',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'uri_too_long',
  FST_ERR_HANDLER_TIMEOUT: 'overloaded',
}

/** Our codes for errors of plugins that have only a status: those of the files of the docs page, for example. */
const PLUGIN_STATUS: Readonly<Record<number, ErrorCode>> = {
  403: 'not_found',
  404: 'not_found',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
}

/** Errors of Node's HTTP parser, raised before there is a request. */
const PARSER_CODES: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

/** Called for every error response: counts them in the metrics. */
export type Refused = (code: ErrorCode, refusal?: Refusal) => void

/**
 * The only writer of error bodies, apart from the OAuth format of `oauth/oauth-scope.ts`. 4xx is logged at info, 5xx at
 * warn, `internal` at error.
 *
 * @param refused called with the code of every error response, and the word of a refused token or caller
 * @param everyChallenge parameters of each `WWW-Authenticate: Bearer`
 */
export function registerErrorHandler(app: App, refused?: Refused, everyChallenge?: ChallengeParameters): void {
  app.setErrorHandler((error, request, reply) => {
    const answered = asAppError(error, request)
    refused?.(answered.code, answered.refusal)
    return sendProblem(answered, request, reply, everyChallenge)
  })
}

/**
 * The server options for the two kinds of error that Fastify raises before a route is known: a URL that can't be
 * decoded, and a request that is not HTTP.
 */
export function earlyErrorOptions(
  refused?: Refused,
): Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler'> {
  return {
    frameworkErrors: (error, request, reply) => {
      const answered = asAppError(error, request as never)
      refused?.(answered.code, answered.refusal)
      sendProblem(answered, request as never, reply as never)
    },
    clientErrorHandler(this: FastifyInstance, error, socket) {
      const code = PARSER_CODES[error.code] ?? 'malformed_request'
      this.log.info({ reason: error.code }, 'connection closed: it sent no acceptable HTTP request')
      refused?.(code)
      writeRawProblem(socket, code)
    },
  }
}

function sendProblem(
  error: AppError,
  request: FastifyRequest,
  reply: FastifyReply,
  everyChallenge?: ChallengeParameters,
): FastifyReply {
  const entry = { code: error.code, refusal: error.refusal, reason: error.reason }
  if (error.code === 'internal') request.log.error({ ...entry, err: error.cause ?? error }, error.message)
  else request.log[error.status >= 500 ? 'warn' : 'info'](entry, 'refused')

  const { status, headers, body } = problemResponse(error, request.id, everyChallenge)
  return reply.code(status).headers(headers).send(body)
}

export function asAppError(error: unknown, request: FastifyRequest): AppError {
  if (error instanceof AppError) return error
  const { code = '', statusCode = 500, validation, validationContext } = error as Partial<FastifyError>
  if (validation) {
    const missing = validationContext === 'body' && request.body === undefined
    const fields = missing
      ? [{ field: '', message: 'the body is missing' }]
      : validation.slice(0, MAX_FIELD_ERRORS).map(fieldError)
    return new AppError('validation_failed', { fields, reason: missing ? 'no body' : (validationContext ?? '') })
  }
  const known = FRAMEWORK_CODES[code]
  if (known !== undefined) return new AppError(known, { reason: code })
  if (statusCode >= 400 && statusCode < 500)
    return new AppError(PLUGIN_STATUS[statusCode] ?? 'malformed_request', { reason: code })
  if (request.raw.destroyed && !request.raw.complete)
    return new AppError('malformed_request', { reason: 'the body was cut off' })
  return new AppError('internal', { cause: error, reason: (error as Error)?.message ?? String(error) })
}

type Validation = NonNullable<FastifyError['validation']>[number]

/** Names the field and the broken rule, never the value: it may be a password. */
function fieldError({ instancePath, keyword, params, message }: Validation): FieldError {
  const member = params.missingProperty ?? params.additionalProperty
  const shown =
    typeof member === 'string' && /^\w{1,64}$/.test(member) ? `/${member}` : member === undefined ? '' : '/…'
  const sentences: Record<string, string> = {
    required: 'is required',
    additionalProperties: 'is not a member of this request',
  }
  return { field: `${instancePath}${shown}`, message: sentences[keyword] ?? message ?? 'is not acceptable' }
}

function writeRawProblem(socket: Socket, code: ErrorCode): void {
  // When the head of a response is sent already, an error body would become part of that response.
  const answering = (socket as Socket & { _httpMessage?: { _headerSent?: boolean } })._httpMessage?._headerSent === true
  if (!socket.writable || answering) return void socket.destroy()
  const { status, headers, body } = problemResponse(new AppError(code), 'none')
  const lines = Object.entries({ ...headers, 'content-length': Buffer.byteLength(body), connection: 'close' })
  socket.end(
    `HTTP/1.1 ${status} ${code}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  )
}
