import { AppError } from '../../errors/app-error.ts'
import { assertDemands, type Demands } from '../../tokens/authorize.ts'
import { toResponse } from '../to-response.ts'
import type { Authenticator } from './authenticator.ts'
import {
  type AuthorizerContext,
  type AuthorizerEvent,
  asContext,
  type LambdaAuthorizer,
  requestOf,
} from './lambda-events.ts'

export type * from './lambda-events.ts'

/**
 * An authorizer of AWS API Gateway. A good token is let in, with its claims as the context. A token that does not allow
 * what is demanded is denied (403), with `code` and `challenge` in the context. Everything else is thrown:
 * `Unauthorized` to the letter, of which API Gateway makes a 401, or the error itself (500) where the verifier does not
 * know.
 *
 * API Gateway keeps an answer for the TTL of the authorizer, and no revocation is seen meanwhile: set the TTL to 0, or
 * at most to `maxFeedAge`.
 *
 * @throws TypeError for demands that would have no effect, as `assertDemands`
 */
export function signetLambda(verifier: Authenticator, demands: Demands = {}): LambdaAuthorizer {
  assertDemands(demands)
  const judge = async (event: AuthorizerEvent) => {
    try {
      const claims = await verifier.authenticate(requestOf(event), demands)
      return { isAuthorized: true, principalId: claims.sub, context: asContext(claims) }
    } catch (error) {
      return { isAuthorized: false, principalId: 'refused', context: deniedOrThrown(error) }
    }
  }
  return {
    async simple(event) {
      const { isAuthorized, context } = await judge(event)
      return { isAuthorized, context }
    },
    async policy(event) {
      const asked = event.methodArn ?? event.routeArn
      if (typeof asked !== 'string') throw new TypeError('the event has neither methodArn nor routeArn')
      // The caller chose the path: a star or a variable in it would be for other addresses too. `?` is any one
      // character.
      const Resource = asked.replaceAll(/[*$]/g, '?')
      const { isAuthorized, principalId, context } = await judge(event)
      const Effect = isAuthorized ? 'Allow' : 'Deny'
      const Statement = [{ Action: 'execute-api:Invoke' as const, Effect: Effect as 'Allow' | 'Deny', Resource }]
      return { principalId, policyDocument: { Version: '2012-10-17', Statement }, context }
    },
  }
}

/** What is thrown has no code for the client. So a refusal of which the client should know more is an answer. */
function deniedOrThrown(error: unknown): AuthorizerContext {
  if (!(error instanceof AppError) || error.status >= 500) throw error
  const { code } = error
  if (code !== 'insufficient_scope' && code !== 'insufficient_user_authentication') throw new Error('Unauthorized')
  return { code, challenge: toResponse(error).headers['www-authenticate'] ?? '' }
}
