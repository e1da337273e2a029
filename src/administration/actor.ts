import type { FastifyRequest } from 'fastify'
import type { RequestSource } from '../audit/audit.ts'
import { AppError } from '../errors/app-error.ts'
import { requestSource } from '../http/request-source.ts'
import { ADMIN_ROLE } from './admin-scopes.ts'

/** Who administers: an admin, a machine, or the operator by script. */
export interface Actor {
  /** The account or the client; undefined for the operator. */
  readonly actorId: string | undefined
  readonly source: RequestSource
  /** What a machine holds, which is the most that it may give. Undefined for people: the role allows everything. */
  readonly holds?: Holdings | undefined
  /** Method and route, for the row of a refusal. Undefined for the operator. */
  readonly attempt?: string
}

/** What the token of a machine allows. */
export interface Holdings {
  readonly scope: readonly string[]
  readonly audience: readonly string[]
}

/**
 * Who acts in a request that `adminOr` let in. Whoever has not the role is a machine, and can't give more than it has.
 */
export function actorOf(request: FastifyRequest): Actor {
  const { sub, roles = [], scope = '', aud } = request.user
  const attempt = `${request.method} ${request.routeOptions.url}`
  const who = { actorId: sub, source: requestSource(request), attempt }
  return roles.includes(ADMIN_ROLE) ? who : { ...who, holds: { scope: scopeNames(scope), audience: [aud].flat() } }
}

/** The names in a scope text. */
export const scopeNames = (scope: string): string[] => scope.split(' ').filter((name) => name !== '')

/** The refusal of what a machine may not do. @param why a sentence for its operator */
export const notForMachines = (why: string) => new AppError('insufficient_scope', { reason: why, detail: why })
