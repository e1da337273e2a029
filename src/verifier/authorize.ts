import { type Clock, systemClock } from '../clock.ts'
import * as rules from '../tokens/authorize.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'

/**
 * Checks claims that `verify` returned against demands.
 *
 * @param now epoch seconds. Default: the clock of the system
 * @throws SignetError `insufficient_user_authentication` (RFC 9470 section 3) or `insufficient_scope` (RFC 6750 section
 *   3.1); TypeError for demands that would have no effect, as `assertDemands`
 */
export function authorize(claims: AccessTokenClaims, demands: rules.Demands, now: Clock = systemClock): void {
  rules.assertDemands(demands)
  rules.authorize(claims, demands, now)
}
