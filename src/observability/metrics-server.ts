import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { OperatorError } from '../errors/app-error.ts'

export interface MetricsServer {
  readonly url: string
  close(): Promise<void>
}

/** The part of a registry that is served. */
export interface Page {
  readonly contentType: string
  metrics(): Promise<string>
}

/**
 * `GET /metrics` on a port of its own: the metrics are for operators, so they are never on the port that the public can
 * reach.
 *
 * @param options.report called when the page could not be made
 * @throws OperatorError when the port can't be taken
 */
export async function listenMetrics(options: {
  readonly host: string
  readonly port: number
  readonly page: Page
  readonly report: (error: unknown) => void
}): Promise<MetricsServer> {
  const { host, port, page, report } = options
  let making: Promise<string> | undefined
  const server = createServer(
    { headersTimeout: 5000, requestTimeout: 5000, maxHeaderSize: 8192 },
    (request, response) => {
      const refusal = refusalOf(request.method, request.url)
      if (refusal !== undefined) return answer(response, refusal, `${refusal}\n`)
      // When several scrape at the same time, the page is made once.
      making ??= page.metrics().finally(() => {
        making = undefined
      })
      making.then(
        (text) => answer(response, 200, text, page.contentType),
        (error) => {
          report(error)
          answer(response, 500, '500\n')
        },
      )
    },
  )
  await listening(server, host, port)
  const { port: taken } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function refusalOf(method: string | undefined, url = ''): number | undefined {
  if (url.split('?', 1)[0] !== '/metrics') return 404
  return method === 'GET' || method === 'HEAD' ? undefined : 405
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  const headers = {
    'content-type': type,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(status === 405 && { allow: 'GET, HEAD' }),
  }
  response.writeHead(status, headers).end(text)
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const inUse = cause.code === 'EADDRINUSE'
      reject(
        new OperatorError(
          inUse
            ? `METRICS_PORT: ${port} on ${host} is in use`
            : `METRICS_HOST, METRICS_PORT: can't listen on ${host}:${port}: ${cause.code}`,
          { cause, hint: 'set METRICS_PORT to a free port (0 takes one), or unset it' },
        ),
      )
    })
    server.listen({ host, port }, resolve)
  })
}
