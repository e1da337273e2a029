import type { Clock } from '../clock.ts'
import { isTypo } from '../config/typo.ts'
import { AppError } from '../errors/app-error.ts'
import type { AccessTokenClaims } from './claims.ts'

/** What a caller must hold. */
export interface Held {
  /** At least one of these. */
  readonly roles?: readonly string[]
  /** All of these. */
  readonly scope?: readonly string[]
}

/** What a route demands of the caller besides a good token: all of it. */
export interface Demands extends Held {
  /** One of these is enough, for example a role for people, or a scope for services. */
  readonly anyOf?: readonly Held[]
  /** The login was at most this many seconds ago. */
  readonly maxAuthAge?: number
}

const HELD = ['roles', 'scope']
const DEMANDS = [...HELD, 'anyOf', 'maxAuthAge']
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
  const { anyOf, maxAuthAge } = demands
  const fault = faultInHeld(demands)
  if (fault !== undefined) return fault
  if ('anyOf' in demands) {
    if (!Array.isArray(anyOf) || anyOf.length === 0) return 'anyOf must be a list of { roles } and { scope }'
    const faults = anyOf.map(faultInAlternative).filter((one) => one !== undefined)
    if (faults[0] !== undefined) return `anyOf: ${faults[0]}`
  }
  if ('maxAuthAge' in demands && !(Number.isSafeInteger(maxAuthAge) && Number(maxAuthAge) > 0))
    return 'maxAuthAge must be whole seconds'
  return undefined
}

function faultInHeld(held: Held): string | undefined {
  if ('roles' in held && !isListOfNames(held.roles)) return 'roles must be a list of names'
  if ('scope' in held && !isListOfNames(held.scope)) return 'scope must be a list of names without spaces'
  return undefined
}

/** An alternative that demands nothing would open the route, so one must say what it demands, and nothing else. */
function faultInAlternative(alternative: unknown): string | undefined {
  if (typeof alternative !== 'object' || alternative === null || Array.isArray(alternative))
    return 'each must be { roles } or { scope }'
  const names = Object.keys(alternative)
  const unknown = names.find((name) => !HELD.includes(name))
  if (unknown !== undefined) {
    const meant = meantBy(unknown, HELD)
    return `${unknown.slice(0, 40)} is not known (${meant === undefined ? 'only roles, scope' : `${meant}?`})`
  }
  return names.length === 0 ? 'each must be { roles } or { scope }' : faultInHeld(alternative)
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
export function authorize(claims: AccessTokenClaims, demands: Demands, now: Clock): void {
  const { auth_time } = claims
  if (demands.maxAuthAge !== undefined && !(now() - (auth_time ?? Number.NaN) <= demands.maxAuthAge)) {
    throw new AppError('insufficient_user_authentication', {
      refusal: 'auth_age',
      challengeParameters: { max_age: String(demands.maxAuthAge) },
    })
  }
  const lacking = lackingIn(claims, demands)
  if (lacking !== undefined) throw lacking
  if (demands.anyOf !== undefined && !demands.anyOf.some((held) => lackingIn(claims, held) === undefined)) {
    // A service can ask for a scope, and nobody for a role: so the challenge names a scope.
    const scope = demands.anyOf.find((held) => held.scope !== undefined)?.scope?.join(' ')
    throw new AppError('insufficient_scope', {
      reason: 'the caller has nothing of what the route asks for',
      refusal: lackingIn(claims, demands.anyOf[0] ?? {})?.refusal,
      ...(scope !== undefined && { challengeParameters: { scope } }),
    })
  }
}

function lackingIn({ roles = [], scope = '' }: AccessTokenClaims, demanded: Held): AppError | undefined {
  if (demanded.roles !== undefined && !demanded.roles.some((role) => roles.includes(role)))
    return new AppError('insufficient_scope', {
      reason: 'the caller has none of the roles that the route asks for',
      refusal: 'role',
    })
  if (demanded.scope === undefined) return undefined
  const held = scope.split(' ')
  if (demanded.scope.every((name) => held.includes(name))) return undefined
  const challengeParameters = { scope: demanded.scope.join(' ') }
  return new AppError('insufficient_scope', { refusal: 'scope', challengeParameters })
}
