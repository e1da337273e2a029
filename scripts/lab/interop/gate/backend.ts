import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A request as it reached the service behind a gateway. */
export interface Received {
  readonly method: string
  readonly url: string
  /** As they came. */
  readonly lines: readonly (readonly [name: string, value: string])[]
  readonly trailers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/** The service behind a gateway. It keeps what it got, and answers with the subject that the gateway named. */
export class Backend {
  readonly port: number
  received: Received[] = []

  static async start(): Promise<Backend> {
    const server = createServer({ insecureHTTPParser: true })
    await once(server.listen(0, '127.0.0.1').unref(), 'listening')
    return new Backend(server)
  }

  private constructor(server: ReturnType<typeof createServer>) {
    this.port = (server.address() as AddressInfo).port
    server.on('request', async (request, reply) => {
      const { method = '', url = '' } = request
      const body = await text(request).catch(() => '')
      const [lines, trailers] = [pairs(request.rawHeaders), pairs(request.rawTrailers)]
      this.received.push({ method, url, lines, trailers, body })
      reply.setHeader('content-type', 'application/json')
      reply.end(JSON.stringify({ sub: request.headers['x-signet-subject'] }))
    })
  }

  /** What came since the last call. */
  take(): Received[] {
    const { received } = this
    this.received = []
    return received
  }
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? '', raw[2 * i + 1] ?? ''])
}

/** A name as services read it that do not tell `-`, `_` and other separators apart (CGI, WSGI, Rack, PHP). */
export function readName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-')
}
