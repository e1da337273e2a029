import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { AppError } from '../errors/app-error.ts'
import type { App } from './app-type.ts'

/** Apache's number too. Node would drop those beyond 2000 without a word. */
const MAX_HEADERS = 100
/** Requests that may wait on one connection for the answer to one before them. */
const MAX_PIPELINED = 32
/** Milliseconds between two log lines about connections that were turned away. */
const REPORT_INTERVAL_MS = 10_000

/**
 * How many connections there may be, how many headers a request, and how many requests at a time on one connection. The time-outs
 * stand in server-options.ts.
 */
export function registerConnectionLimits(app: App, { maxConnections }: { maxConnections: number }): void {
  if (maxConnections > 0) app.server.maxConnections = maxConnections
  reportDropped(app, maxConnections)
  const pipeline = createPipelines()

  app.addHook('onRequest', ({ raw }, reply, done) => {
    if (raw.rawHeaders.length > 2 * MAX_HEADERS)
      return done(new AppError('headers_too_large', { reason: 'too many headers' }))
    // Without a socket of its own yet: it waits for the answers before it.
    if (reply.raw.socket !== null || pipeline(raw.socket, reply.raw)) return done()
    raw.socket.destroy()
    done(new AppError('malformed_request', { reason: 'too many pipelined requests' }))
  })
}

/**
 * Node stops reading from a client that does not read, but works off the 64 KB it has: some 1,500 requests, all answered at once,
 * each with its buffers and, for a file, its descriptor.
 */
function createPipelines(): (socket: Socket, response: ServerResponse) => boolean {
  const waiting = new WeakMap<Socket, number>()
  return (socket, response) => {
    const count = (waiting.get(socket) ?? 0) + 1
    if (count > MAX_PIPELINED) return false
    waiting.set(socket, count)
    response.once('close', () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1))
    return true
  }
}

function reportDropped(app: App, maxConnections: number): void {
  let reported = false
  app.server.on('drop', () => {
    if (reported) return
    reported = true // one line per connection would be a second flood
    app.log.warn({ max_connections: maxConnections }, 'connections are turned away: there are too many')
    setTimeout(() => {
      reported = false
    }, REPORT_INTERVAL_MS).unref()
  })
}
