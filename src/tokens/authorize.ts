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

const DEMANDS = ['roles', 'scope', 'maxAuthAge']
const CONFIG = ['auth', ...DEMANDS, 'limit']

/**
 * A demand under a wrong name would leave its route open to everybody who is logged in.
 *
 * @param others the names that may stand beside the demands. Undefined: any that is not a misspelled demand
 * @throws TypeError at boot
 */
export function assertSpelling(url: string, config: object, others?: readonly string[]): void {
  for (const given of Object.keys(config)) {
    if (CONFIG.includes(given) || others?.includes(given)) continue
    const meant = meantBy(given, CONFIG)
    if (meant !== undefined) throw new TypeError(`route ${url}: config.${given} is not known (${meant}?)`)
    if (others !== undefined) {
      const known = [...CONFIG, ...others].join(', ')
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
  const misplaced = CONFIG.find((name) => Object.hasOwn(route, name))
  if (misplaced !== undefined)
    throw new TypeError(`route ${route.url}: ${misplaced} has no effect there: write config: { ${misplaced}: … }`)
}

function meantBy(given: string, names: readonly string[]): string | undefined {
  return names.find((name) => isTypo(given.toLowerCase(), name.toLowerCase()))
}

/**
 * Refuses demands that would have no effect: a mistake must not leave a route more open than it looks.
 *
 * @throws TypeError at boot
 */
export function assertRouteDemands(url: string, auth: string | undefined, config: Demands): void {
  const fault = faultIn(config)
  if (fault !== undefined) throw new TypeError(`route ${url}: config.${fault}`)
  if (auth === 'public' && DEMANDS.some((name) => name in config))
    throw new TypeError(`route ${url}: config.auth is public, and nobody would be asked for more`)
}

/**
 * The same for demands that are no part of a route's config. Here every name that is not known is refused, because
 * nothing else can be meant.
 *
 * @throws TypeError that names the demand and says what it must be
 */
export function assertDemands(demands: Demands): void {
  if (typeof demands !== 'object' || demands === null) throw new TypeError('demands must be an object')
  for (const given of Object.keys(demands)) {
    if (DEMANDS.includes(given)) continue
    const meant = meantBy(given, DEMANDS)
    const hint = meant === undefined ? `only ${DEMANDS.join(', ')}` : `${meant}?`
    throw new TypeError(`demands: ${given.slice(0, 40)} is not known (${hint})`)
  }
  const fault = faultIn(demands)
  if (fault !== undefined) throw new TypeError(`demands: ${fault}`)
}

/** What is wrong with demands. One that is there and undefined is a slip too: its value came from somewhere else. */
function faultIn(demands: Demands): string | undefined {
  const { roles, scope, maxAuthAge } = demands
  if ('roles' in demands && !isListOfNames(roles)) return 'roles must be a list of names'
  if ('scope' in demands && !isListOfNames(scope)) return 'scope must be a list of names without spaces'
  if ('maxAuthAge' in demands && !(Number.isSafeInteger(maxAuthAge) && Number(maxAuthAge) > 0))
    return 'maxAuthAge must be whole seconds'
  return undefined
}

function isListOfNames(list: unknown): boolean {
  return Array.isArray(list) && list.length > 0 && list.every((name) => typeof name === 'string' && /^\S+$/.test(name))
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
  if (demands.maxAuthAge !== undefined && !(now() - (auth_time ?? Number.NaN) <= demands.maxAuthAge)) {
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
