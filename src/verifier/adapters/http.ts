import type { IncomingMessage, ServerResponse } from 'node:http'
import { assertDemands, type Demands } from '../../tokens/authorize.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { RequestHeaders } from '../../tokens/credential.ts'
import type { Authenticator } from './authenticator.ts'
import { type NodeResponse, refuse } from './refusals.ts'

/**
 * A listener of `node:http`, `node:https` or `node:http2` that runs only for callers with a good token. `req.user`
 * holds their claims. What the handler throws is not caught. For `node:http2`, name its types:
 * `signetHttp<Http2ServerRequest, Http2ServerResponse>(…)`.
 *
 * @throws TypeError for demands that would have no effect, as `assertDemands`
 */
export function signetHttp<Req extends RequestHeaders = IncomingMessage, Res extends NodeResponse = ServerResponse>(
  verifier: Authenticator,
  handler: (req: Req & { readonly user: AccessTokenClaims }, res: Res) => unknown,
  demands: Demands = {},
): (req: Req, res: Res) => Promise<void> {
  assertDemands(demands)
  return async (req, res) => {
    let user: AccessTokenClaims
    try {
      user = await verifier.authenticate(req, demands)
    } catch (error) {
      return refuse(res, error)
    }
    await handler(Object.assign(req, { user }), res)
  }
}
