import type { Refusal } from '../errors/refusals.ts'
import { unreferenced } from '../timers.ts'
import { assertDemands, authorize, type Demands } from '../tokens/authorize.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import { type RequestHeaders, requestToken } from '../tokens/credential.ts'
import type { ProtectedResource } from '../tokens/protected-resource.ts'
import type { MirrorHooks } from './mirror-hooks.ts'
import { assertCallOptions, type CallOptions } from './mode-options.ts'
import type { VerifierOptions } from './options.ts'
import type { Platform } from './platform/platform.ts'
import type { Refused } from './refused.ts'
import { startOnce } from './start-once.ts'
import { makeParts, type VerifierParts } from './verifier-parts.ts'
import type { OnOver } from './watch/watch-claims.ts'

/** Milliseconds between two sweeps of what is over. */
const SWEEP_INTERVAL_MS = 60_000

export interface Verifier {
  /**
   * @returns the claims of a good token, frozen
   * @throws SignetError `invalid_token`, `token_expired`, `token_stale` (refresh once), `keys_unavailable`,
   *   `revocations_stale`
   */
  verify(token: string, options?: CallOptions): Promise<AccessTokenClaims>
  /**
   * The claims of the one Bearer token of a request of `node:http`, Express or whatever is built on it.
   *
   * @throws SignetError as `verify`, and `missing_token`, `invalid_request`; with demands `insufficient_scope` and
   *   `insufficient_user_authentication`
   */
  authenticate(request: RequestHeaders, demands?: Demands, options?: CallOptions): Promise<AccessTokenClaims>
  /** `verify` without a promise where the key is at hand, as it nearly always is. */
  verifyNow(token: string, options?: CallOptions): AccessTokenClaims | Promise<AccessTokenClaims>
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
  /**
   * For a connection that outlives the request that opened it: calls `onOver` once when the token expires (at `exp` +
   * `clockSkew`) or is taken back, within about a second, and with `onStale: 'reject'` when the copy of the feed is too
   * old. For a token that is over already it does so soon after. After `close` nobody is called.
   *
   * @param claims the object that this verifier returned, not a copy. Watch it at once: before the first watch, only
   *   tokens count that are still in the cache
   * @param onOver gets the reason, and the error with which the guard refuses the token from now on: the caller is told
   *   its `code` alone. What it throws goes to `onEvent`
   * @returns a function that stops watching: to be called when the connection ends
   * @throws TypeError for claims of another origin, with `mode: 'on-demand'`, and after `close`
   */
  watch(claims: AccessTokenClaims, onOver: OnOver): () => void
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
  /** How often the store could not be asked, or had what is of no use. */
  readonly storeFailures: number
  /** How often a token or its caller was refused, by reason. */
  readonly refused: Readonly<Partial<Record<Refusal, number>>>
}

/**
 * Verifies Signet's access tokens in another service, with the guard of the server itself. What is revoked is refused
 * where `revocations` are followed. Nothing is asked and no timer runs before the first use. From then on the issuer is
 * asked in the background; where the runtime allows it, that does not keep the process alive. With `mode: 'on-demand'`
 * it is only asked when a token comes.
 *
 * @param mirrored gets what the verifier verifies, to the letter; not with a store
 * @throws TypeError for options that are wrong, or that would switch a check off without saying `null`
 */
export function makeVerifier(options: VerifierOptions, platform: Platform, mirrored?: MirrorHooks): Verifier {
  const parts = makeParts(options, platform, mirrored)
  const { keys, revocations, standstill, refused, watched, now } = parts
  const hydrate = async () => {
    const following = revocations?.hydrate()
    await keys.hydrate()
    await following
  }
  const background = startOnce(() => (parts.mode === 'on-demand' ? undefined : follow(parts, hydrate)))
  const verifyNow = (token: string, call?: CallOptions) => {
    if (call !== undefined) assertCallOptions(call, parts)
    background.start()
    return parts.judge(token, call)
  }
  const verifier: Verifier = {
    verifyNow,
    verify: async (token, call) => verifyNow(token, call),
    async authenticate(request, demands = {}, call) {
      assertDemands(demands) // before the token: a slip fails every request, not only those with a good token
      let token: string
      try {
        token = requestToken(request)
      } catch (error) {
        throw refused.note(error)
      }
      const claims = await verifyNow(token, call)
      try {
        authorize(claims, demands, now)
      } catch (error) {
        throw refused.note(error)
      }
      return claims
    },
    hydrate() {
      background.start()
      return platform.waitedFor(hydrate())
    },
    protectedResource: () => parts.resource,
    watch(claims, onOver) {
      background.start()
      return watched.add(claims, onOver)
    },
    stats: () => statsOf(parts),
    close() {
      for (const part of [background, standstill, keys, revocations, watched]) part?.close()
    },
  }
  refusedBy.set(verifier, refused)
  return verifier
}

/** Begins what runs in the background. @returns the timer of the sweeps */
function follow({ standstill, cache, now, skew }: VerifierParts, hydrate: () => Promise<void>) {
  standstill.start()
  hydrate().catch(() => undefined) // told by onEvent; whoever wants to wait for it calls it too
  return unreferenced(setInterval(() => cache.sweep(now() - skew), SWEEP_INTERVAL_MS))
}

function statsOf({ cache, revocations, refused, counts }: VerifierParts): VerifierStats {
  return {
    cacheHits: cache.hits,
    cacheMisses: cache.misses,
    cacheEntries: cache.size,
    revocations: revocations?.size ?? 0,
    ...counts,
    refused: refused.counts(),
  }
}

/** What each verifier refused: for guards that find a part of it by themselves. */
const refusedBy = new WeakMap<Verifier, Refused>()

/**
 * Counts a refusal, and completes its challenge, that a guard in front of the verifier found. One of the verifier
 * itself counts only once.
 */
export function noteRefusal(verifier: Verifier, error: unknown): void {
  refusedBy.get(verifier)?.note(error)
}
