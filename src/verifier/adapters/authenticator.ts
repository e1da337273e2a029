import type { Demands } from '../../tokens/authorize.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import type { RequestHeaders } from '../../tokens/credential.ts'
import type { CallOptions } from '../mode-options.ts'

/** The part of a verifier that an adapter uses. In a test of your own, an object with this one method will do. */
export interface Authenticator {
  authenticate(request: RequestHeaders, demands?: Demands, options?: CallOptions): Promise<AccessTokenClaims>
}
