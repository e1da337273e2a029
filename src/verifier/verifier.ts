import { monotonicClock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { assertDemands, authorize, type Demands } from '../tokens/authorize.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import { type RequestHeaders, requestToken } from '../tokens/credential.ts'
import { createNodeSignature } from '../tokens/node-signature.ts'
import { VerifiedTokens } from '../tokens/verified-tokens.ts'
import { createTokenVerifier, type RevocationCheck, UnknownKid } from '../tokens/verify.ts'
import { resolveOptions, type VerifierOptions } from './options.ts'
import { createRemoteKeys } from './remote-keys.ts'
import { createRemoteRevocations } from './remote-revocations.ts'

/** Milliseconds between two sweeps of what is over. */
const SWEEP_INTERVAL_MS = 60_000

export interface Verifier {
  /**
   * @returns the claims of a good token, frozen
   * @throws SignetError `invalid_token`, `token_expired`, `token_stale` (refresh once), `keys_unavailable`,
   *   `revocations_stale`
   */
  verify(token: string): Promise<AccessTokenClaims>
  /**
   * The claims of the one Bearer token of a request of `node:http`, Express or whatever is built on it.
   *
   * @throws SignetError as `verify`, and `missing_token`, `invalid_request`; with demands `insufficient_scope` and
   *   `insufficient_user_authentication`
   */
  authenticate(request: RequestHeaders, demands?: Demands): Promise<AccessTokenClaims>
  /** `verify` without a promise where the key is at hand, as it nearly always is. */
  verifyNow(token: string): AccessTokenClaims | Promise<AccessTokenClaims>
  /**
   * Resolves when keys and revocations are there. They are fetched from the beginning; without it the first token
   * waits for them.
   *
   * @throws SignetError `keys_unavailable`; the verifier goes on trying all the same
   */
  hydrate(): Promise<void>
  /** Plain counters since the start. */
  stats(): VerifierStats
  /** Ends every timer and request. */
  close(): void
}

export interface VerifierStats {
  readonly cacheHits: number
  readonly cacheMisses: number
  readonly cacheEntries: number
  readonly revocations: number
}

const NOTHING_REVOKED: RevocationCheck = { judge: () => 'good', isTooOld: () => false }

/**
 * Verifies Signet's access tokens in another service, with the very guard of the server: everything is pinned,
 * nothing is asked
 * of the issuer while a token is verified, and what is taken back is refused where `revocations` are followed.
 *
 * @throws TypeError for options that would switch a check off without saying `null`
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const resolved = resolveOptions(options)
  const { policy, now, feed } = resolved
  const keys = createRemoteKeys(resolved, monotonicClock)
  const revocations = feed && createRemoteRevocations(resolved, feed, keys)
  const cache = new VerifiedTokens(resolved.cache)
  const core = createTokenVerifier({
    keys,
    policy,
    now,
    cache,
    revocations: revocations ?? NOTHING_REVOKED,
    verifySignature: createNodeSignature(),
  })
  const sweep = setInterval(() => cache.sweep(now() - policy.skew), SWEEP_INTERVAL_MS).unref()

  const verifyNow = (token: string) => {
    if (typeof token !== 'string') throw new AppError('missing_token', { reason: 'the token is not a string' })
    try {
      return core.verify(token)
    } catch (error) {
      if (!(error instanceof UnknownKid)) throw error
      return keys.seek(error.kid).then(() => core.verify(token))
    }
  }
  const hydrate = async () => {
    const following = revocations?.hydrate()
    await keys.hydrate()
    await following
  }
  hydrate().catch(() => undefined) // told by onEvent; whoever wants to wait for it calls it too
  return {
    verifyNow,
    verify: async (token) => verifyNow(token),
    async authenticate(request, demands = {}) {
      assertDemands(demands) // before the token: a slip fails every request, not only those with a good token
      const claims = await verifyNow(requestToken(request))
      authorize(claims, demands, now)
      return claims
    },
    hydrate,
    stats: () => ({
      cacheHits: cache.hits,
      cacheMisses: cache.misses,
      cacheEntries: cache.size,
      revocations: revocations?.size ?? 0,
    }),
    close() {
      clearInterval(sweep)
      keys.close()
      revocations?.close()
    },
  }
}
