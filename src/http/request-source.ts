import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { RequestSource } from '../audit/audit.ts'

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

export function requestSource(request: FastifyRequest): RequestSource {
  return {
    ip: isIP(request.ip) === 0 ? null : request.ip,
    userAgent: request.headers['user-agent']?.slice(0, 256) ?? null,
    requestId: request.id,
  }
}
