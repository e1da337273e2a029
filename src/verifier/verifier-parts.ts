import { monotonicClock } from '../clock.ts'
import { asRefused } from '../revocations/revocation-set.ts'
import { VerifiedTokens } from '../tokens/verified-tokens.ts'
import { createTokenVerifier, type JudgedToken, type RevocationCheck } from '../tokens/verify.ts'
import { OnDemandRevocations } from './feed/on-demand-revocations.ts'
import { RemoteRevocations } from './feed/remote-revocations.ts'
import { RemoteKeys } from './keys/remote-keys.ts'
import type { MirrorHooks } from './mirror-hooks.ts'
import { resolveOptions, type VerifierEvent, type VerifierOptions } from './options.ts'
import type { Platform } from './platform/platform.ts'
import { Refused } from './refused.ts'
import { Standstill } from './standstill.ts'
import { mostOfLook } from './store/shared-look.ts'
import { waitingVerify } from './waiting-verify.ts'
import { KidsOfClaims } from './watch/kids-of-claims.ts'
import { watchClaims } from './watch/watch-claims.ts'

const NOTHING_REVOKED: RevocationCheck = {
  judge: () => 'good',
  refusalOf: () => asRefused(undefined),
  isTooOld: () => false,
}

export type VerifierParts = ReturnType<typeof makeParts>

/**
 * Makes the parts of a verifier. None of them begins anything.
 *
 * @param mirrored follows what the verifier verifies
 * @throws TypeError as `makeVerifier`
 */
export function makeParts(options: VerifierOptions, platform: Platform, mirrored?: MirrorHooks) {
  const counts = { storeFailures: 0 }
  const given = resolveOptions(options, platform)
  const onEvent = (event: VerifierEvent) => {
    if (event.type === 'store_failed') counts.storeFailures += 1
    watched.heard(event)
    given.onEvent(event)
  }
  const resolved = { ...given, onEvent, mirrored }
  const { policy, now, feed, mode, timeout, store, resource } = resolved
  const standstill = new Standstill(now)
  const keys = new RemoteKeys(resolved, monotonicClock, standstill)
  mirrored?.begin(keys)
  const revocations =
    feed &&
    (mode === 'on-demand'
      ? new OnDemandRevocations(resolved, feed, keys)
      : new RemoteRevocations(resolved, feed, keys, standstill))
  const cache = new VerifiedTokens(resolved.cache)
  const kids = new KidsOfClaims(cache)
  const guard = createTokenVerifier<JudgedToken>({
    kids,
    keys,
    policy,
    now,
    cache,
    revocations: revocations ?? NOTHING_REVOKED,
    verifySignature: platform.createSignature(),
  })
  const mostMs = mode === 'on-demand' ? 2 * mostOfLook(timeout, store !== undefined) : undefined
  const refused = new Refused(onEvent, resource && { resource_metadata: resource.url })
  const { waitedFor } = platform
  const judge = waitingVerify({ guard, keys, revocations, refused, now, waitedFor, mostMs })
  const watched = watchClaims({ options: resolved, again: guard.again, kids, keys, revocations, refused })
  const { skew } = policy
  return { keys, revocations, cache, standstill, judge, refused, watched, counts, resource, now, skew, mode, feed }
}
