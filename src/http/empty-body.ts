import type { FastifyRequest, preParsingHookHandler } from 'fastify'
import { AppError } from '../errors/app-error.ts'
import type { App } from './app-type.ts'

const WITH_BODY: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE']

/**
 * A request without bytes has no body, whatever its `Content-Type` says: many clients name a type with every request.
 * Whether the route needs a body is then for its schema to say. A type that can't be read does no harm either.
 */
export function registerEmptyBody(app: App): void {
  // After every onRequest hook, because the defence of the refresh cookie judges the type that was sent.
  const withoutType: preParsingHookHandler = ({ headers }, _reply, payload, done) => {
    if (isEmpty(headers)) delete headers['content-type']
    done(null, payload)
  }
  app.addHook('onRoute', (route) => {
    if (![route.method].flat().some((method) => WITH_BODY.includes(method))) return // a GET need not pay for it
    route.preParsing = [withoutType, ...[route.preParsing ?? []].flat()]
  })
  acceptNoBytes(app)
}

/**
 * For a chunked body, of which only the end tells that it is empty: without bytes it is no body, and with them
 * `unsupported_media_type`. It takes the types that have no parser. A scope that removes its parsers calls it again.
 */
export function acceptNoBytes(app: App): void {
  app.addContentTypeParser('*', (request, payload, done) => {
    if (request.is404) return done(null)
    const settle = (error: Error | null) => {
      for (const name of ['data', 'end', 'error']) payload.removeAllListeners(name)
      payload.on('error', () => undefined) // the client may go away while it is answered
      done(error)
    }
    payload.once('data', () => settle(new AppError('unsupported_media_type', { reason: 'a type without a parser' })))
    payload.once('end', () => settle(null))
    payload.once('error', settle)
  })
}

/** True when the headers say that no bytes follow (RFC 9112 section 6.3). */
function isEmpty(headers: FastifyRequest['headers']): boolean {
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
}
