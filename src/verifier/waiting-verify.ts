import { AppError } from '../errors/app-error.ts'
import { isPromise, type JudgedToken, UnknownKid } from '../tokens/verify.ts'
import type { Platform } from './platform.ts'
import type { RemoteKeys } from './remote-keys.ts'
import type { RemoteRevocations } from './remote-revocations.ts'

/**
 * Verifies at once where that is possible, as nearly always. A token waits where its key has to be fetched, and where
 * what is known of keys and revocations is due for a look; a bad token is refused without waiting.
 */
export function waitingVerify(
  verify: (token: string) => JudgedToken,
  keys: RemoteKeys,
  revocations: RemoteRevocations | undefined,
  { waitedFor }: Platform,
): (token: string) => JudgedToken {
  const current = (token: string): JudgedToken => {
    const looks = [keys.due(), revocations?.due()]
    if (looks[0] === undefined && looks[1] === undefined) return verify(token)
    const afterLooks = () => waitedFor(Promise.all(looks)).then(() => verify(token))
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
  return (token) => {
    if (typeof token !== 'string')
      throw new AppError('missing_token', { reason: 'the token is not a string', refusal: 'token_missing' })
    const sought = (error: unknown) => {
      if (!(error instanceof UnknownKid)) throw error
      return waitedFor(keys.seek(error.kid)).then(() => current(token))
    }
    try {
      const judged = current(token)
      return isPromise(judged) ? judged.catch(sought) : judged
    } catch (error) {
      return sought(error)
    }
  }
}
