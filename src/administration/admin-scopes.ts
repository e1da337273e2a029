/**
 * Who may administer: the role of people and the scopes of machines, and what a machine may not do although it has the
 * scope. What is administered belongs to the folder of its subject; the routes of the audit trail are here.
 */

import type { Held } from '../tokens/authorize.ts'

export const ADMIN_ROLE = 'admin'

/** Scopes that begin with this are this server's own. */
const RESERVED_PREFIX = 'signet:'

/** The scopes with which a machine may use routes below `/v1/admin`. */
export const ADMIN_SCOPES = [
  'signet:accounts:read',
  'signet:accounts:write',
  'signet:clients:read',
  'signet:clients:write',
  'signet:audit:read',
] as const
export type AdminScope = (typeof ADMIN_SCOPES)[number]

/** The demand of a route below `/v1/admin`: an admin, or a machine with this scope. */
export function adminOr(scope: AdminScope): { readonly anyOf: readonly Held[] } {
  return { anyOf: [{ roles: [ADMIN_ROLE] }, { scope: [scope] }] }
}

/**
 * True for a name that looks like one of this server's scopes and is none. Nobody may grant it: a later version could
 * give it a meaning, and people take `Signet:audit:read` for the real one.
 */
export function isUnknownReserved(scope: string): boolean {
  return scope.toLowerCase().startsWith(RESERVED_PREFIX) && !(ADMIN_SCOPES as readonly string[]).includes(scope)
}
