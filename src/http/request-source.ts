import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { RequestSource } from '../audit/audit.ts'
import { networkOf } from '../limits/network.ts'

const MAX_USER_AGENT_CHARACTERS = 256
/**
 * Control characters (C0, DEL, C1), line and paragraph separators, and the controls of text direction: in a log or a
 * table they would move the cursor of a terminal, or show the text in another order than it is written.
 */
const UNPRINTABLE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

/**
 * Tells work that waits in a queue whether the client has closed its connection. The request stream can't tell: it ends
 * with the body, long before that.
 *
 * @returns a function that is true once the connection is closed
 */
export function isGone(request: FastifyRequest): () => boolean {
  const { socket } = request.raw
  return () => socket.destroyed
}

/**
 * The client's address: that of the connection, or the one that a trusted proxy names (`forwarded-for.ts` has cut its
 * port). Null when that is no address, or the connection is gone.
 */
export function addressOf(request: FastifyRequest): string | null {
  return isIP(request.ip ?? '') === 0 ? null : request.ip
}

/** The key under which the limits of this client are counted. */
export function networkOfRequest(request: FastifyRequest): string {
  return networkOf(addressOf(request))
}

/** What is kept about where a request came from. Each unprintable character of the user agent becomes U+FFFD. */
export function requestSource(request: FastifyRequest): RequestSource {
  const userAgent = request.headers['user-agent']
  return {
    ip: addressOf(request),
    userAgent: userAgent?.slice(0, MAX_USER_AGENT_CHARACTERS).replace(UNPRINTABLE, '\ufffd') ?? null,
    requestId: request.id,
  }
}
