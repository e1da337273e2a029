import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { RequestSource } from '../audit/audit.ts'

/** For work that waits: nobody is there to be answered. A request stream says nothing of it; it ends with the body. */
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
