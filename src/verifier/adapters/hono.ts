import { assertDemands, type Demands } from '../../tokens/authorize.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { CallOptions } from '../mode-options.ts'
import type { Authenticator } from './authenticator.ts'
import { refusal } from './refusals.ts'

/** What `c.get('user')` needs to have a type: `new Hono<{ Variables: SignetVariables }>()`. */
export interface SignetVariables {
  /** The verified claims, frozen. */
  user: AccessTokenClaims
}

/** The part of Hono's `Context` that is used, without the need for its types. */
export interface HonoContext {
  readonly req: { readonly raw: Request }
  /** Throws where the runtime has none. */
  readonly executionCtx: { waitUntil(work: Promise<unknown>): void }
}

/** A `MiddlewareHandler` of Hono. */
export type SignetMiddleware = (c: HonoContext, next: () => Promise<void>) => Promise<Response | undefined>

/**
 * The guard of the routes after it: `app.use(signetHono(verifier))`, or of one route. `c.get('user')` has the claims of
 * the caller. A refused request is answered here and goes no further.
 *
 * @throws TypeError for demands that would have no effect, as `assertDemands`
 */
export function signetHono(verifier: Authenticator, demands: Demands = {}): SignetMiddleware {
  assertDemands(demands)
  return async (c, next) => {
    let user: AccessTokenClaims
    try {
      user = await verifier.authenticate(c.req.raw, demands, callOptions(c))
    } catch (error) {
      return refusal(error)
    }
    // Hono types the names of an app, and this is for every app.
    const { set } = c as unknown as { set(name: 'user', value: AccessTokenClaims): void }
    set.call(c, 'user', user)
    await next()
    return undefined
  }
}

function callOptions(c: HonoContext): CallOptions {
  try {
    const context = c.executionCtx
    return { waitUntil: (work) => context.waitUntil(work) }
  } catch {
    return {} // Node and Bun need none
  }
}
