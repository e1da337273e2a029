import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Origin } from '../observability/audit.ts'

export function requestOrigin(request: FastifyRequest): Origin {
  return {
    ip: isIP(request.ip) === 0 ? null : request.ip,
    userAgent: request.headers['user-agent']?.slice(0, 256) ?? null,
    requestId: request.id,
  }
}
