import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { AppError } from '../errors/app-error.ts'
import type { App } from './app-type.ts'

/** The default of Apache httpd as well. Node silently drops headers beyond 2000. */
const MAX_HEADERS = 100
/** How many pipelined requests may wait on one connection for the responses before theirs. */
const MAX_PIPELINED = 32
/** How often a log line says that connections are refused. */
const REPORT_INTERVAL_MS = 10_000

/**
 * Limits the number of connections, of headers per request, and of pipelined requests per connection. A request has
 * one `Host` line. The time-outs are
 * in server-options.ts.
 *
 * @param maxConnections 0 = no limit
 */
export function registerConnectionLimits(app: App, { maxConnections }: { maxConnections: number }): void {
  if (maxConnections > 0) app.server.maxConnections = maxConnections
  reportDropped(app, maxConnections)
  const pipeline = createPipelines()

  app.addHook('onRequest', ({ raw }, reply, done) => {
    if (raw.rawHeaders.length > 2 * MAX_HEADERS)
      return done(new AppError('headers_too_large', { reason: 'too many headers' }))
    if (hasTwoHosts(raw.rawHeaders)) return done(new AppError('malformed_request', { reason: 'two Host lines' }))
    // A response without a socket is pipelined: it waits for the responses before it.
    if (reply.raw.socket !== null || pipeline(raw.socket, reply.raw)) return done()
    raw.socket.destroy()
    done(new AppError('malformed_request', { reason: 'too many pipelined requests' }))
  })
}

/** RFC 9112 section 3.2: such a request is 400. Node takes the first line and a proxy may take the last. */
function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1
  }
  return hosts > 1
}

/**
 * Counts the pipelined requests per connection. When a client does not read its responses, Node stops reading from it,
 * but still handles the 64 KB that it has read: some 1,500 requests, all answered at once, each with its buffers and,
 * for a file, its descriptor.
 *
 * @returns a function that takes a pipelined response, and is false when its connection has too many
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
    reported = true // a log line per connection would turn a flood of connections into one of log lines
    app.log.warn({ max_connections: maxConnections }, 'connections are refused: MAX_CONNECTIONS is reached')
    setTimeout(() => {
      reported = false
    }, REPORT_INTERVAL_MS).unref()
  })
}
