import { AppError } from '../errors/app-error.ts'
import { pause } from '../timers.ts'
import { isPromise, type JudgedToken, UnknownKid } from '../tokens/verify.ts'
import { keysUnavailable } from './keys/keys-unavailable.ts'
import type { CallOptions } from './looking-options.ts'
import type { Platform } from './platform/platform.ts'

/** What a token may have to wait for. */
interface Looks {
  /** A look that is due; undefined while there is none. It never rejects. */
  due(call: CallOptions): Promise<void> | undefined
}

const NO_OPTIONS: CallOptions = {}
const LATE: unique symbol = Symbol('late')

/**
 * Verifies at once where that is possible, as nearly always. A token waits where its key has to be fetched, and where
 * what is known of keys and revocations is due for a look; a bad token is refused without waiting.
 *
 * @param mostMs milliseconds after which a look counts as lost, and another one is made: in workerd a look ends with the
 *   request that began it. Undefined where that can't be
 */
export function waitingVerify(
  verify: (token: string) => JudgedToken,
  keys: Looks & { seek(kid: string): Promise<void> },
  revocations: Looks | undefined,
  { waitedFor }: Platform,
  mostMs?: number,
): (token: string, call?: CallOptions) => JudgedToken {
  const inTime = (look: Promise<unknown>) => waitedFor(mostMs === undefined ? look : within(look, mostMs))
  const current = (token: string, call: CallOptions, isAgain = false): JudgedToken => {
    const looks = [keys.due(call), revocations?.due(call)]
    if (looks[0] === undefined && looks[1] === undefined) return verify(token)
    const afterLooks = async () => {
      const looked = await inTime(Promise.all(looks))
      return looked === LATE && !isAgain ? current(token, call, true) : verify(token)
    }
    const refusedUnlessStale = (error: unknown) => {
      if (!(error instanceof AppError && error.code === 'revocations_stale')) throw error
    }
    try {
      const early = verify(token)
      if (isPromise(early)) return early.then(() => undefined, refusedUnlessStale).then(afterLooks)
    } catch (error) {
      refusedUnlessStale(error)
    }
    return afterLooks()
  }
  return (token, call = NO_OPTIONS) => {
    if (typeof token !== 'string')
      throw new AppError('missing_token', { reason: 'the token is not a string', refusal: 'token_missing' })
    const sought = async (error: unknown) => {
      if (!(error instanceof UnknownKid)) throw error
      const looked = await inTime(keys.seek(error.kid))
      if (looked === LATE) throw keysUnavailable('the search for a key was lost')
      return current(token, call)
    }
    try {
      const judged = current(token, call)
      return isPromise(judged) ? judged.catch(sought) : judged
    } catch (error) {
      if (!(error instanceof UnknownKid)) throw error
      return sought(error)
    }
  }
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
