import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { pause } from '../timers.ts'
import type { AccessTokenClaims } from '../tokens/claims.ts'
import { isPromise, type JudgedToken, type TokenVerifier, UnknownKid } from '../tokens/verify.ts'
import { keysUnavailable } from './keys/keys-unavailable.ts'
import type { CallOptions } from './mode-options.ts'
import type { Platform } from './platform/platform.ts'
import type { Refused } from './refused.ts'

/** What a token may have to wait for. */
interface Looks {
  /** A look that is due; undefined while there is none. It never rejects. @param seconds now, in epoch seconds */
  due(call: CallOptions, seconds: number): Promise<void> | undefined
}

const NO_OPTIONS: CallOptions = {}
const LATE: unique symbol = Symbol('late')

/**
 * Verifies at once where that is possible, as nearly always. A token waits where its key has to be fetched, and where
 * what is known of keys and revocations is due for a look; a bad token is refused without waiting. Refusals are noted.
 *
 * A token that was seen before takes the shortest way: nothing is allocated, and nobody asks whether it is a promise.
 *
 * @param mostMs milliseconds after which a look counts as lost, and another one is made: in workerd a look ends with
 *   the request that began it. Undefined where that can't be
 */
export function waitingVerify(options: {
  readonly guard: Pick<TokenVerifier<JudgedToken>, 'seen' | 'fresh' | 'verify'>
  readonly keys: Looks & { seek(kid: string): Promise<void> }
  readonly revocations: Looks | undefined
  readonly refused: Pick<Refused, 'note' | 'noting'>
  readonly now: Clock
  readonly waitedFor: Platform['waitedFor']
  readonly mostMs: number | undefined
}): (token: string, call?: CallOptions) => JudgedToken {
  const { guard, keys, revocations, refused, now, waitedFor, mostMs } = options
  const inTime = (look: Promise<unknown>) => waitedFor(mostMs === undefined ? look : within(look, mostMs))

  const afterLooks = (token: string, call: CallOptions, looks: Promise<unknown>, isAgain = false): JudgedToken => {
    const looked = async () =>
      (await inTime(looks)) === LATE && !isAgain ? again(token, call, true) : guard.verify(token)
    try {
      const early = guard.verify(token)
      if (isPromise(early)) return early.then(() => undefined, refusedUnlessStale).then(looked)
    } catch (error) {
      refusedUnlessStale(error)
    }
    return looked()
  }
  const again = (token: string, call: CallOptions, isAgain = false): JudgedToken => {
    const [ofKeys, ofFeed] = [keys.due(call, now()), revocations?.due(call, now())]
    if (ofKeys === undefined && ofFeed === undefined) return guard.verify(token)
    return afterLooks(token, call, Promise.all([ofKeys, ofFeed]), isAgain)
  }
  const sought = async (token: string, call: CallOptions, error: unknown): Promise<AccessTokenClaims> => {
    if (!(error instanceof UnknownKid)) throw error
    if ((await inTime(keys.seek(error.kid))) === LATE) throw keysUnavailable('the search for a key was lost')
    return again(token, call)
  }
  /** @param judge a token that may be of a key that is not known here */
  const seeking = (token: string, call: CallOptions, judge: () => JudgedToken): JudgedToken =>
    refused.noting(() => {
      try {
        const judged = judge()
        return isPromise(judged) ? judged.catch((error) => sought(token, call, error)) : judged
      } catch (error) {
        if (!(error instanceof UnknownKid)) throw error
        return sought(token, call, error)
      }
    })

  const waiting = (token: string, call: CallOptions, looks: Promise<unknown>) =>
    seeking(token, call, () => afterLooks(token, call, looks))
  const isNew = (token: string, call: CallOptions) => seeking(token, call, () => guard.fresh(token))
  const isOver = (token: string, call: CallOptions, error: unknown) => {
    if (!(error instanceof UnknownKid)) throw refused.note(error)
    return refused.noting(() => sought(token, call, error))
  }

  // No function is made in here: V8 would allocate what it captures at each call.
  return (token, call = NO_OPTIONS) => {
    if (typeof token !== 'string')
      throw refused.note(
        new AppError('missing_token', { reason: 'the token is not a string', refusal: 'token_missing' }),
      )
    let known: AccessTokenClaims | undefined
    try {
      const seconds = now() // once: reading a clock takes as long as all the rest
      const ofKeys = keys.due(call, seconds)
      const ofFeed = revocations === undefined ? undefined : revocations.due(call, seconds)
      if (ofKeys !== undefined || ofFeed !== undefined) return waiting(token, call, Promise.all([ofKeys, ofFeed]))
      known = guard.seen(token, seconds)
    } catch (error) {
      return isOver(token, call, error)
    }
    return known ?? isNew(token, call)
  }
}

function refusedUnlessStale(error: unknown): void {
  if (!(error instanceof AppError && error.code === 'revocations_stale')) throw error
}

/** The same promise, or after so many milliseconds one of LATE. */
async function within<T>(work: Promise<T>, milliseconds: number): Promise<T | typeof LATE> {
  const over = new AbortController()
  try {
    return await Promise.race([work, pause(milliseconds, over.signal).then((): typeof LATE => LATE)])
  } finally {
    over.abort()
  }
}
