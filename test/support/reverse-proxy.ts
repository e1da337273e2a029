import { request } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { makeCertificate } from './certificate.ts'

export interface ReverseProxy {
  readonly port: number
  /** Trust this and no other. */
  readonly certificate: string
}

/**
 * A proxy as it stands before a server: it ends TLS, and passes on what is below a path, and the well-known documents
 * of the host. All else of the host is somebody else's, and answered with 404 "elsewhere".
 *
 * @param options.target the address of the server
 * @param options.strips true when the server gets the rest of the path only
 */
export async function reverseProxy(
  t: Test,
  options: { host: string; path: string; strips: boolean; target: string },
): Promise<ReverseProxy> {
  const { host, path, strips } = options
  const { certificate, privateKey } = makeCertificate(host)
  const target = new URL(options.target)
  const server = createServer({ cert: certificate, key: privateKey }, (incoming, outgoing) => {
    const url = incoming.url ?? '/'
    const below = url === path || url.startsWith(`${path}/`) || url.startsWith(`${path}?`)
    if (!below && !url.startsWith('/.well-known/')) return void outgoing.writeHead(404).end('elsewhere')
    const rest = url.slice(path.length)
    const asked = below && strips ? (rest.startsWith('/') ? rest : `/${rest}`) : url
    const headers = {
      ...incoming.headers,
      'x-forwarded-for': incoming.socket.remoteAddress,
      'x-forwarded-proto': 'https',
    }
    const passed = request(
      { host: target.hostname, port: target.port, method: incoming.method, path: asked, headers },
      (reply) => {
        outgoing.writeHead(reply.statusCode ?? 502, reply.rawHeaders)
        reply.pipe(outgoing)
      },
    )
    passed.on('error', () => outgoing.destroy())
    incoming.pipe(passed)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, certificate }
}
