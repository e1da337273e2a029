import type { FastifyBaseLogger } from 'fastify'
import type { App } from './app-type.ts'
import { addressOf } from './request-source.ts'

/** One log line per response, and the request id in a header of the response, so that a caller can name the line. */
export function registerRequestLog(app: App): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
  if (!(app.log as FastifyBaseLogger & { isLevelEnabled(level: string): boolean }).isLevelEnabled('info')) return
  app.addHook('onResponse', (request, reply, done) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url ?? null,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        ip: addressOf(request),
      },
      'answered',
    )
    done()
  })
}
