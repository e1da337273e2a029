import { assertDemands, type Demands } from '../../tokens/authorize.ts'
import type { RequestHeaders } from '../../tokens/credential.ts'
import type { Authenticator } from './authenticator.ts'
import { type NodeResponse, refuse } from './refusals.ts'

// Word for word what passport's types say, so that both can stand in one project. `Express.User` is left empty, because
// projects with passport pass objects of their own for it. Whoever wants the claims there writes
// `declare global { namespace Express { interface User extends AccessTokenClaims {} } }` once.
declare global {
  namespace Express {
    interface User {}
    interface Request {
      /** The verified claims, frozen; undefined on a route without a guard. */
      user?: User | undefined
    }
  }
}

/** A `RequestHandler` of Express 4 and 5, without the need for their types. */
export type SignetRequestHandler = (
  req: RequestHeaders & { user?: unknown },
  res: NodeResponse,
  next: () => void,
) => Promise<void>

/**
 * The guard of the routes after it: `app.use(signetExpress(verifier))`, or of one route. `req.user` holds the claims of
 * the caller. A refused request is answered here and goes no further.
 *
 * @throws TypeError for demands that would have no effect, as `assertDemands`
 */
export function signetExpress(verifier: Authenticator, demands: Demands = {}): SignetRequestHandler {
  assertDemands(demands)
  return async (req, res, next) => {
    try {
      req.user = await verifier.authenticate(req, demands)
    } catch (error) {
      return refuse(res, error)
    }
    next() // outside of `try`: what a later handler throws is no refusal
  }
}
