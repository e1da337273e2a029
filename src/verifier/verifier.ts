import { monotonicClock } from '../clock.ts'
import type { Refusal } from '../errors/refusals.ts'
import { asRefused } from '../revocations/revocation-set.ts'
import { unreferenced } from '../timers.ts'
import { assertDemands, authorize, type Demands } from '../tokens/authorize.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import { type RequestHeaders, requestToken } from '../tokens/credential.ts'
import type { ProtectedResource } from '../tokens/protected-resource.ts'
import { VerifiedTokens } from '../tokens/verified-tokens.ts'
import { createTokenVerifier, type JudgedToken, type RevocationCheck } from '../tokens/verify.ts'
import { resolveOptions, type VerifierOptions } from './options.ts'
import type { Platform } from './platform.ts'
import { Refused } from './refused.ts'
import { RemoteKeys } from './remote-keys.ts'
import { RemoteRevocations } from './remote-revocations.ts'
import { Standstill } from './standstill.ts'
import { startsOnce } from './starts-once.ts'
import { waitingVerify } from './waiting-verify.ts'

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
  /**
   * The metadata of this service (RFC 9728) and the path where it has to be served, to everybody; undefined without the
   * option `resource`. The Fastify plugin serves it.
   */
  protectedResource(): ProtectedResource | undefined
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
  /** How often a token or its caller was refused, by reason. */
  readonly refused: Readonly<Partial<Record<Refusal, number>>>
}

const NOTHING_REVOKED: RevocationCheck = {
  judge: () => 'good',
  refusalOf: () => asRefused(undefined),
  isTooOld: () => false,
}

/**
 * Verifies Signet's access tokens in another service, with the guard of the server itself. What is revoked is refused
 * where `revocations` are followed. Nothing is asked and no timer runs before the first use. From then on the issuer is
 * asked in the background; where the runtime allows it, that does not keep the process alive.
 *
 * @throws TypeError for options that are wrong, or that would switch a check off without saying `null`
 */
export function makeVerifier(options: VerifierOptions, platform: Platform): Verifier {
  const parts = makeParts(options, platform)
  const { keys, revocations, cache, standstill, refused, now, skew } = parts
  const background = startsOnce(() => {
    standstill.start()
    hydrate().catch(() => undefined) // told by onEvent; whoever wants to wait for it calls it too
    return unreferenced(setInterval(() => cache.sweep(now() - skew), SWEEP_INTERVAL_MS))
  })
  const hydrate = async () => {
    const following = revocations?.hydrate()
    await keys.hydrate()
    await following
  }
  const verifyNow = (token: string) => {
    background.start()
    return refused.noting(() => parts.judge(token))
  }
  const verifier: Verifier = {
    verifyNow,
    verify: async (token) => verifyNow(token),
    async authenticate(request, demands = {}) {
      assertDemands(demands) // before the token: a slip fails every request, not only those with a good token
      const claims = await verifyNow(refused.noting(() => requestToken(request)))
      refused.noting(() => authorize(claims, demands, now))
      return claims
    },
    hydrate() {
      background.start()
      return platform.waitedFor(hydrate())
    },
    protectedResource: () => parts.resource,
    stats: () => statsOf(parts),
    close() {
      for (const part of [background, standstill, keys, revocations]) part?.close()
    },
  }
  refusedBy.set(verifier, refused)
  return verifier
}

type Parts = ReturnType<typeof makeParts>

function makeParts(options: VerifierOptions, platform: Platform) {
  const resolved = resolveOptions(options, platform)
  const { policy, now, feed } = resolved
  const standstill = new Standstill(now)
  const keys = new RemoteKeys(resolved, monotonicClock, standstill)
  const revocations = feed && new RemoteRevocations(resolved, feed, keys, standstill)
  const cache = new VerifiedTokens(resolved.cache)
  const { verify } = createTokenVerifier<JudgedToken>({
    keys,
    policy,
    now,
    cache,
    revocations: revocations ?? NOTHING_REVOKED,
    verifySignature: platform.createSignature(),
  })
  const judge = waitingVerify(verify, keys, revocations, platform)
  const { resource, onEvent } = resolved
  const refused = new Refused(onEvent, resource && { resource_metadata: resource.url })
  return { keys, revocations, cache, standstill, judge, refused, resource, now, skew: policy.skew }
}

function statsOf({ cache, revocations, refused }: Parts): VerifierStats {
  return {
    cacheHits: cache.hits,
    cacheMisses: cache.misses,
    cacheEntries: cache.size,
    revocations: revocations?.size ?? 0,
    refused: refused.counts(),
  }
}

/** What each verifier refused: for guards that find a part of it by themselves. */
const refusedBy = new WeakMap<Verifier, Refused>()

/** Counts a refusal, and completes its challenge, that a guard in front of the verifier found. One of the verifier itself counts only once. */
export function noteRefusal(verifier: Verifier, error: unknown): void {
  refusedBy.get(verifier)?.note(error)
}
