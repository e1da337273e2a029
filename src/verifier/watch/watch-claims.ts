import { AppError } from '../../errors/app-error.ts'
import type { Refusal } from '../../errors/refusals.ts'
import { failure } from '../../http/bounded-fetch.ts'
import type { AccessTokenClaims } from '../../tokens/claims.ts'
import { type TokenVerifier, UnknownKid } from '../../tokens/verify.ts'
import type { RemoteKeys } from '../keys/remote-keys.ts'
import type { Resolved, VerifierEvent } from '../options.ts'
import type { Refused } from '../refused.ts'
import { Watch } from './watch.ts'

/** Beats, of which there is one a second, from one walk through all tokens to the next, whatever was told. */
const WALK_BEATS = 10

/** Is called when a watched token is over. The error is the one with which the guard refuses the token. */
export type OnOver = (refusal: Refusal, error: AppError) => void

interface Parts {
  readonly options: Resolved
  readonly again: TokenVerifier<unknown>['again']
  readonly kids: { get(claims: AccessTokenClaims): string | undefined }
  readonly keys: Pick<RemoteKeys, 'due' | 'seek' | 'hasGoodKeys'>
  readonly revocations: { due(): Promise<unknown> | undefined; isTooOld(): boolean } | undefined
  readonly refused: Refused
}

/** Watches the claims that a verifier returned, by the rules of its guard. */
export function watchClaims(parts: Parts) {
  const { options, kids, refused } = parts
  const issuer = asking(parts)
  const watch = new Watch<AppError>({
    now: options.now,
    skew: options.policy.skew,
    judge: (claims, kid) => refusedBy(() => parts.again({ claims, kid })),
    isUnsure: ({ refusal }) => refusal === 'kid_unknown' || refusal === 'feed_stale',
    look: issuer.look,
    beat: issuer.beat,
    onError: (error) => options.onEvent({ type: 'watch_failed', reason: failure(error) }),
  })
  return {
    add(claims: AccessTokenClaims, onOver: OnOver): () => void {
      if (options.mode === 'on-demand')
        throw new TypeError("watch: it needs timers, and a verifier with mode: 'on-demand' has none")
      const kid = kids.get(claims)
      if (kid === undefined) throw new TypeError('watch: the claims are not an object that this verifier returned')
      if (typeof onOver !== 'function') throw new TypeError('watch: the second argument is the function to be called')
      return watch.add(claims, kid, (error) => {
        const told = issuer.inVain(error) ?? error
        refused.note(told)
        return onOver(told.refusal as Refusal, told)
      })
    },
    /** Takes an event of the verifier: some of them say that other tokens may be over. */
    heard({ type }: VerifierEvent): void {
      if (type === 'revocations_applied' || type === 'keys_fetched') watch.changed()
    },
    close: () => watch.close(),
  }
}

/** @returns what the guard throws; undefined for a good token */
function refusedBy(guard: () => unknown): AppError | undefined {
  try {
    guard()
    return undefined
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

/** What a request would wait for: a watched token waits for the same before it is called over. */
function asking({ keys, revocations }: Parts) {
  /** Why the last search for a key failed. */
  let failed: unknown
  let beats = 0
  return {
    async look(error: AppError): Promise<void> {
      failed = undefined
      await Promise.all([keys.due(), revocations?.due()])
      if (error instanceof UnknownKid) failed = await keys.seek(error.kid).catch((reason) => reason)
    },
    /** When the issuer could not be asked, it is not known whether the key is good. That is no 401. */
    inVain: (error: AppError) => (error.refusal === 'kid_unknown' && failed instanceof AppError ? failed : undefined),
    /** After a standstill the issuer is asked at once what was revoked meanwhile. */
    beat(): boolean {
      for (const look of [keys.due(), revocations?.due()]) look?.catch(() => undefined)
      beats += 1
      // A key is also withdrawn by a document that changes nothing else, or whose rest never comes: no event tells of
      // it.
      return beats % WALK_BEATS === 0 || !keys.hasGoodKeys() || revocations?.isTooOld() === true
    },
  }
}
