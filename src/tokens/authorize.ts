import type { Clock } from '../clock.ts'
import { isTypo } from '../config/typo.ts'
import { AppError } from '../errors/app-error.ts'
import type { AccessTokenClaims } from './claims.ts'

/** What a route demands of the caller besides a good token. */
export interface Demands {
  /** At least one of these. */
  readonly roles?: readonly string[]
  /** All of these. */
  readonly scope?: readonly string[]
  /** The login was at most this many seconds ago. */
  readonly maxAuthAge?: number
}

const DEMANDS = ['auth', 'roles', 'scope', 'maxAuthAge', 'limit']

/**
 * A demand under a wrong name would leave its route open to everybody who is logged in.
 *
 * @param others the names that may stand beside the demands. Undefined: any that is not a misspelled demand
 * @throws TypeError at boot
 */
export function assertSpelling(url: string, config: object, others?: readonly string[]): void {
  for (const given of Object.keys(config)) {
    if (DEMANDS.includes(given) || others?.includes(given)) continue
    const meant = DEMANDS.find((name) => isTypo(given.toLowerCase(), name.toLowerCase()))
    if (meant !== undefined) throw new TypeError(`route ${url}: config.${given} is not known (${meant}?)`)
    if (others !== undefined) {
      const known = [...DEMANDS, ...others].join(', ')
      throw new TypeError(`route ${url}: config.${given} is not known. Known are: ${known}`)
    }
  }
}

/**
 * A demand beside `config` has no effect.
 *
 * @throws TypeError at boot
 */
export function assertPlace(route: { readonly url: string }): void {
  const misplaced = DEMANDS.find((name) => Object.hasOwn(route, name))
  if (misplaced !== undefined)
    throw new TypeError(`route ${route.url}: ${misplaced} has no effect there: write config: { ${misplaced}: … }`)
}

/**
 * Refuses demands that would have no effect: a mistake must not leave a route more open than it looks.
 *
 * @throws TypeError at boot
 */
export function assertDemands(url: string, auth: string | undefined, { roles, scope, maxAuthAge }: Demands): void {
  const wrong = (what: string) => new TypeError(`route ${url}: config.${what}`)
  const isList = (list: unknown) =>
    Array.isArray(list) && list.length > 0 && list.every((name) => typeof name === 'string' && /^\S+$/.test(name))
  if (roles !== undefined && !isList(roles)) throw wrong('roles must be a list of names')
  if (scope !== undefined && !isList(scope)) throw wrong('scope must be a list of names without spaces')
  if (maxAuthAge !== undefined && !(Number.isSafeInteger(maxAuthAge) && maxAuthAge > 0))
    throw wrong('maxAuthAge must be whole seconds')
  if (auth === 'public' && (roles ?? scope ?? maxAuthAge) !== undefined)
    throw wrong('auth is public, and nobody would be asked for more')
}

/**
 * Checks a verified token against the demands of a route.
 *
 * @throws AppError `insufficient_user_authentication` (RFC 9470 section 3) or `insufficient_scope` (RFC 6750 section
 *   3.1)
 */
export function authorize(
  { auth_time, roles = [], scope = '' }: AccessTokenClaims,
  demands: Demands,
  now: Clock,
): void {
  if (demands.maxAuthAge !== undefined && (auth_time === undefined || now() - auth_time > demands.maxAuthAge)) {
    throw new AppError('insufficient_user_authentication', {
      challengeParameters: { max_age: String(demands.maxAuthAge) },
    })
  }
  if (demands.roles !== undefined && !demands.roles.some((role) => roles.includes(role))) {
    throw new AppError('insufficient_scope', { reason: 'the caller has none of the roles that the route asks for' })
  }
  if (demands.scope !== undefined) {
    const held = scope.split(' ')
    if (!demands.scope.every((name) => held.includes(name))) {
      throw new AppError('insufficient_scope', { challengeParameters: { scope: demands.scope.join(' ') } })
    }
  }
}
