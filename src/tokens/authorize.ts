import { AppError } from '../errors.ts'
import type { AccessTokenClaims } from './claims.ts'

/** What a route asks of the caller beyond a good token. */
export interface Demands {
  /** Any one of these. */
  readonly roles?: readonly string[]
  /** All of these. */
  readonly scope?: readonly string[]
  /** Seconds since the login at the most. */
  readonly maxAuthAge?: number
}

/**
 * Judges a verified token against the demands of a route.
 *
 * @param now epoch seconds
 * @throws AppError `insufficient_user_authentication` (RFC 9470 section 3) or `insufficient_scope` (RFC 6750 section 3.1)
 */
export function authorize(
  { auth_time, roles = [], scope = '' }: AccessTokenClaims,
  demands: Demands,
  now: number,
): void {
  if (demands.maxAuthAge !== undefined && (auth_time === undefined || now - auth_time > demands.maxAuthAge)) {
    throw new AppError('insufficient_user_authentication', {
      challengeParameters: { max_age: String(demands.maxAuthAge) },
    })
  }
  if (demands.roles !== undefined && !demands.roles.some((role) => roles.includes(role))) {
    throw new AppError('insufficient_scope', { reason: 'the role is missing' })
  }
  if (demands.scope !== undefined) {
    const held = scope.split(' ')
    if (!demands.scope.every((name) => held.includes(name))) {
      throw new AppError('insufficient_scope', { challengeParameters: { scope: demands.scope.join(' ') } })
    }
  }
}
