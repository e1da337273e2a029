import { assertDemands, type Demands } from '../../tokens/authorize.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { CallOptions, WaitUntil } from '../mode-options.ts'
import type { Authenticator } from './authenticator.ts'
import { refusal } from './refusals.ts'

/** The second argument of a route handler of the App Router. */
export interface NextRouteContext {
  readonly params: Promise<Record<string, string | string[] | undefined>>
}

export interface NextGuard {
  /** A route handler that runs only for callers with a good token; their claims are `user` of its second argument. */
  route<Req extends Request = Request, Context extends object = NextRouteContext>(
    handler: (request: Req, context: Context & { readonly user: AccessTokenClaims }) => Response | Promise<Response>,
  ): (request: Req, context: Context) => Promise<Response>
  /**
   * For `proxy.js` (`middleware.js` before Next.js 16): answers a refused request, and lets others go on. It tells the
   * routes nothing: a header with the name of the caller could also come from the caller.
   */
  proxy(request: Request, event?: { waitUntil: WaitUntil }): Promise<Response | undefined>
}

/**
 * The guard for Next.js: of a route handler, and of many addresses at once.
 *
 * @param options `{ waitUntil: after }` with `after` of `next/server`, for route handlers of a verifier `on-demand`;
 *   and `maxFeedAge`
 * @throws TypeError for demands that would have no effect, as `assertDemands`
 */
export function signetNext(verifier: Authenticator, demands: Demands = {}, options: CallOptions = {}): NextGuard {
  assertDemands(demands)
  return {
    route: (handler) => async (request, context) => {
      let user: AccessTokenClaims
      try {
        user = await verifier.authenticate(request, demands, options)
      } catch (error) {
        return refusal(error)
      }
      return handler(request, { ...context, user })
    },
    async proxy(request, event) {
      const call = event === undefined ? options : { waitUntil: (work: Promise<unknown>) => event.waitUntil(work) }
      try {
        await verifier.authenticate(request, demands, call)
        return undefined
      } catch (error) {
        return refusal(error)
      }
    },
  }
}
