import { type Origin, readStored, storedCount, storedInstant, writeStored } from './stored-text.ts'
import { StoreFailed } from './verifier-store.ts'

/** A JWKS as it came. */
export interface StoredKeys {
  /** The text of the answer. Nobody has signed it. */
  readonly jwks: string
  /** Epoch seconds of the issuer's answer; the `Age` that a cache added is subtracted. */
  readonly madeAt: number
  /** Seconds. */
  readonly maxAge: number
  readonly etag: string | undefined
}

/** How a verifier judges what a store has. */
export interface StoredKeysBounds {
  /** Epoch seconds. */
  readonly now: number
  /** Seconds that two clocks may differ. */
  readonly skew: number
  /** Seconds for which keys are good after their `maxAge`. */
  readonly keysMaxStale: number
}

/** The longest `max-age` that is believed: as for an answer of the issuer. */
const MOST_MAX_AGE_SECONDS = 86_400

export function writeKeys(origin: Origin, { jwks, madeAt, maxAge, etag }: StoredKeys): string {
  return writeStored(origin, { madeAt, maxAge, ...(etag === undefined ? {} : { etag }) }, jwks)
}

/**
 * The keys of a store, if they may be used now.
 *
 * @throws StoreFailed also for keys that are over: who asks for them wants to know why there are none
 */
export function readKeys(text: string, origin: Origin, { now, skew, keysMaxStale }: StoredKeysBounds): StoredKeys {
  const { head, body } = readStored(text, origin)
  const madeAt = storedInstant(head.madeAt, now, skew)
  const maxAge = storedCount(head.maxAge)
  if (maxAge > MOST_MAX_AGE_SECONDS) throw new StoreFailed('its keys say that they are good for too long')
  if (now >= madeAt + maxAge + keysMaxStale) throw new StoreFailed('its keys are too old')
  const { etag } = head
  if (etag !== undefined && (typeof etag !== 'string' || etag.length > 1000))
    throw new StoreFailed('its keys lack an etag')
  return { jwks: body, madeAt, maxAge, etag }
}
