import { failure } from '../../http/bounded-fetch.ts'

/**
 * A place outside of this process where verifiers of one issuer keep what they know: Redis, a table, a folder. Texts by
 * name; both calls may take their time, fail, or show old values. Whoever can write to it can sign tokens for this
 * service: a JWKS has no signature.
 */
export interface VerifierStore {
  /** @returns what was put there last; undefined or null when there is nothing */
  get(name: string): Promise<string | undefined | null>
  /** Replaces what is there. */
  put(name: string, value: string): Promise<void>
}

/** What a store did, or has, is of no use. The message may be logged. */
export class StoreFailed extends Error {
  override readonly name = 'StoreFailed'
}

/** Most characters of one text: some 400,000 revocations. */
export const MAX_STORED_CHARACTERS = 16 * 1024 * 1024
/** A store that takes longer than this is of no help to a token that waits. */
const MOST_MS = 2000

/**
 * The store with bounds: whatever it does, a call ends in time, with a text of bounded length or nothing, or with a
 * StoreFailed.
 *
 * @param timeout milliseconds for one call; at most 2000 are given
 */
export function boundedStore(store: VerifierStore, timeout: number) {
  const most = Math.min(MOST_MS, timeout)
  return {
    /** @throws StoreFailed */
    async get(name: string): Promise<string | undefined> {
      const value: unknown = await inTime('get', most, () => store.get(name))
      if (value === undefined || value === null) return undefined
      if (typeof value !== 'string') throw new StoreFailed(`get: it gave no text but a value of type ${typeof value}`)
      if (value.length > MAX_STORED_CHARACTERS)
        throw new StoreFailed(`get: more than ${MAX_STORED_CHARACTERS} characters`)
      return value
    },
    /** @throws StoreFailed */
    async put(name: string, value: string): Promise<void> {
      if (value.length > MAX_STORED_CHARACTERS)
        throw new StoreFailed(`put: more than ${MAX_STORED_CHARACTERS} characters`)
      await inTime('put', most, () => store.put(name, value))
    },
  }
}

export type BoundedStore = ReturnType<typeof boundedStore>

/** @throws StoreFailed for whatever goes wrong, also for a call that never ends */
async function inTime<T>(call: string, most: number, work: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${most} ms`)), most)
  })
  try {
    // `async`, so that a store that throws at once fails like one that rejects.
    return await Promise.race([(async () => work())(), late])
  } catch (error) {
    throw new StoreFailed(`${call}: ${failure(error ?? 'it failed')}`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}
