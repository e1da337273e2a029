import { monotonicClock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { asRefused } from '../revocations/revocation-set.ts'
import { assertDemands, authorize, type Demands } from '../tokens/authorize.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import { type RequestHeaders, requestToken } from '../tokens/credential.ts'
import { createNodeSignature } from '../tokens/node-signature.ts'
import { VerifiedTokens } from '../tokens/verified-tokens.ts'
import { createTokenVerifier, type RevocationCheck, UnknownKid } from '../tokens/verify.ts'
import { resolveOptions, type VerifierOptions } from './options.ts'
import { RemoteKeys } from './remote-keys.ts'
import { RemoteRevocations } from './remote-revocations.ts'
import { Standstill } from './standstill.ts'
import { waitedFor } from './waiting.ts'

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

const NOTHING_REVOKED: RevocationCheck = {
  judge: () => 'good',
  refusalOf: () => asRefused(undefined),
  isTooOld: () => false,
}

/**
 * Verifies Signet's access tokens in another service, with the guard of the server itself. The issuer is asked in the
 * background, and what is revoked is refused where `revocations` are followed. Timers and requests in the background do
 * not keep the process alive.
 *
 * @throws TypeError for options that are wrong, or that would switch a check off without saying `null`
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const resolved = resolveOptions(options)
  const { policy, now, feed } = resolved
  const standstill = new Standstill(now)
  const keys = new RemoteKeys(resolved, monotonicClock, standstill)
  const revocations = feed && new RemoteRevocations(resolved, feed, keys, standstill)
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
  const verifyNow = waitingVerify(core.verify, keys, revocations)
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
    hydrate: () => waitedFor(hydrate()),
    stats: () => ({
      cacheHits: cache.hits,
      cacheMisses: cache.misses,
      cacheEntries: cache.size,
      revocations: revocations?.size ?? 0,
    }),
    close() {
      clearInterval(sweep)
      standstill.close()
      keys.close()
      revocations?.close()
    },
  }
}

/**
 * Verifies at once where that is possible, as nearly always. A token waits where its key has to be fetched, and where
 * what is known of keys and revocations is due for a look; a bad token is refused without waiting.
 */
function waitingVerify(
  verify: (token: string) => AccessTokenClaims,
  keys: RemoteKeys,
  revocations: RemoteRevocations | undefined,
): Verifier['verifyNow'] {
  const current = (token: string): AccessTokenClaims | Promise<AccessTokenClaims> => {
    const looks = [keys.due(), revocations?.due()]
    if (looks[0] === undefined && looks[1] === undefined) return verify(token)
    try {
      verify(token)
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'revocations_stale')) throw error
    }
    return waitedFor(Promise.all(looks)).then(() => verify(token))
  }
  return (token) => {
    if (typeof token !== 'string')
      throw new AppError('missing_token', { reason: 'the token is not a string', refusal: 'token_missing' })
    try {
      return current(token)
    } catch (error) {
      if (!(error instanceof UnknownKid)) throw error
      return waitedFor(keys.seek(error.kid)).then(() => current(token))
    }
  }
}
