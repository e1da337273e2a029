import { isIP } from 'node:net'
import type { App } from './app-type.ts'

const MAX_SHOWN_CHARACTERS = 80

/** `node-port` of RFC 7239 section 6: digits, or a made-up name that begins with `_`. */
const PORT = '(?::(?:\\d{1,5}|_[\\w.-]+))'
const IPV4_WITH_PORT = new RegExp(`^([\\d.]+)${PORT}$`)
const IPV6_IN_BRACKETS = new RegExp(`^\\[([^\\]]+)\\]${PORT}?$`)

/**
 * Cuts the port and the brackets of an address as proxies write them (RFC 7239 section 6): `203.0.113.7:51234`,
 * `[2001:db8::1]:443`. Also the zone of an IPv6 address, which means nothing on another machine. Any other text is
 * returned as it is.
 */
export function withoutPort(text: string): string {
  const given = text.trim()
  const [, address = given] = IPV4_WITH_PORT.exec(given) ?? IPV6_IN_BRACKETS.exec(given) ?? []
  const family = isIP(address)
  if (family === 0) return given
  return family === 6 ? address.replace(/%.*$/, '') : address
}

/**
 * Cuts the ports in `X-Forwarded-For`, for servers behind a trusted proxy. It is the first hook: Fastify reads the
 * header each time that somebody asks for `request.ip`, so limits, sessions, audit and log all see the address alone.
 *
 * A warning says once when what the trusted proxy sends is no address.
 */
export function registerForwardedFor(
  app: App,
  { trustProxy = [] }: { trustProxy: readonly string[] | undefined },
): void {
  if (trustProxy.length === 0) return
  let warned = false
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers, socket } = request.raw
    const forwarded = headers['x-forwarded-for']
    if (typeof forwarded !== 'string') return done()
    headers['x-forwarded-for'] = forwarded.split(',').map(withoutPort).join(', ')
    if (!warned && !socket.destroyed && isIP(request.ip) === 0) {
      warned = true
      request.log.warn(
        { proxy: socket.remoteAddress, sent: request.ip.slice(0, MAX_SHOWN_CHARACTERS) },
        'TRUST_PROXY: a trusted proxy sends an X-Forwarded-For that is no IP address. ' +
          'All such clients count as one network, and sessions and the audit trail have no address for them',
      )
    }
    done()
  })
}
