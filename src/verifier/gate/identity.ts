import type { AccessTokenClaims } from '../../tokens/claims.ts'

/** The headers that a gateway passes on to the service behind it. It has to remove those that a client sent. */
export const IDENTITY_HEADERS = [
  'x-signet-subject',
  'x-signet-client',
  'x-signet-scope',
  'x-signet-roles',
  'x-signet-session',
  'x-signet-auth-time',
] as const

export type IdentityHeaders = Readonly<Record<(typeof IDENTITY_HEADERS)[number], string>>

/**
 * Who the caller is, as headers. All of them are always there, an empty one for what the token does not have: a gateway
 * that copies them then overwrites whatever a client has sent.
 *
 * @returns values of visible ASCII: other characters, `%` and those that separate (space, comma) are percent-encoded as
 *   UTF-8. Scopes and roles are separated by spaces
 */
export function identityOf(claims: AccessTokenClaims): IdentityHeaders {
  const { sub, client_id, scope = '', roles = [], sid = '', auth_time } = claims
  return {
    'x-signet-subject': encoded(sub),
    'x-signet-client': encoded(client_id),
    'x-signet-scope': scope.split(' ').map(encoded).join(' '),
    'x-signet-roles': roles.map(encoded).join(' '),
    'x-signet-session': encoded(sid),
    'x-signet-auth-time': auth_time === undefined ? '' : String(auth_time),
  }
}

/** The schema of the claims lets no half of a surrogate pair in, which this would refuse. */
function encoded(text: string): string {
  return text.replace(/[^!-~]|[%,]/gu, encodeURIComponent)
}
