import { SCOPE_TOKEN } from '../clients/client.ts'
import { OAuthError } from '../errors/oauth-error.ts'

const SCOPE_NAME = new RegExp(`^${SCOPE_TOKEN}$`)

/**
 * The scope that a request gets: the scope that it asks for if all of it is allowed, or everything that is allowed if
 * it asks for none (RFC 6749 section 3.3).
 *
 * @throws OAuthError `invalid_scope`
 */
export function grantedScope(asked: string | undefined, allowed: string): string {
  if (asked === undefined) return allowed
  const names = asked.split(' ')
  if (!names.every((name) => SCOPE_NAME.test(name))) throw new OAuthError('invalid_scope', 'malformed')
  const held = allowed.split(' ')
  if (!names.every((name) => held.includes(name))) throw new OAuthError('invalid_scope', 'more than is allowed')
  return [...new Set(names)].join(' ')
}

/** The API of this server: its identifier as a resource (RFC 9728), and the audience of the tokens that it takes. */
export interface OwnApi {
  readonly issuer: string
  readonly audience: readonly string[]
}

/**
 * The audience that a request gets: the resources that it names if all are allowed, or everything that is allowed if it
 * names none (RFC 8707 section 2).
 *
 * The issuer stands for the audience of this server, as far as it is allowed: that section lets a server map the
 * identifier of a resource to the one that its tokens say.
 *
 * @throws OAuthError `invalid_target`
 */
export function grantedAudience(
  resources: readonly string[],
  allowed: readonly string[],
  own: OwnApi,
): readonly string[] {
  if (resources.length === 0) return allowed
  const granted = resources.map((resource) => {
    if (allowed.includes(resource)) return [resource]
    return resource === own.issuer ? own.audience.filter((name) => allowed.includes(name)) : []
  })
  if (granted.some((names) => names.length === 0))
    throw new OAuthError('invalid_target', 'a resource that is not allowed')
  return [...new Set(granted.flat())]
}
