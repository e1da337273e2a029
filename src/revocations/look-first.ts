import { type Clock, type Instant, secondsSince } from '../clock.ts'
import { LOOK_FIRST_AFTER_SECONDS, LOOK_TIMEOUT_MS, type Revocations } from './follow-revocations.ts'
import { settlesWithin } from './settles-within.ts'

/** The look to wait for before a token is judged; undefined when none is due, as nearly always. */
export type LookFirst = () => Promise<void> | undefined

/**
 * A process that stood still (stopped, a frozen machine, a laptop that slept) does not know what was revoked meanwhile.
 * Requests may reach it before its timers do. So before it accepts the first tokens it looks at the store, and reads the
 * keyring: a key may have been revoked too.
 */
export function createLookFirst(parts: {
  revocations: Pick<Revocations, 'lookFirst' | 'onLook'>
  /** Reads the keys folder again. Never rejects. */
  reloadKeys: () => Promise<void>
  /** Milliseconds that only go forward. */
  monotonic: () => number
  now: Clock
}): LookFirst {
  const { revocations, reloadKeys } = parts
  const instant = (): Instant => ({ monotonic: parts.monotonic(), wall: parts.now() })
  const stoodStill = () => secondsSince(running, instant()) > LOOK_FIRST_AFTER_SECONDS
  // While this process runs, `followKeys` reads the folder every second. So it is enough to know since when it runs.
  let running = instant()
  let reading: Promise<void> | undefined
  // The second in which nothing was due. Whoever stood still for two seconds finds another one on the clock, so all that
  // a verified request pays is one reading of the system clock.
  let fineAt = Number.NaN

  const readKeys = (): Promise<void> => {
    reading ??= (async () => {
      const began = instant()
      await settlesWithin(reloadKeys(), LOOK_TIMEOUT_MS)
      running = began
      reading = undefined
    })()
    return reading
  }
  // A look at the store is a sign of life, four times a second. The one after a pause is none before the keys are read.
  revocations.onLook(() => {
    if (stoodStill()) void readKeys()
    else running = instant()
  })

  return () => {
    const second = parts.now()
    if (second === fineAt) return undefined
    const store = revocations.lookFirst()
    const keys = stoodStill() ? readKeys() : undefined
    if (store === undefined && keys === undefined) fineAt = second
    if (store === undefined || keys === undefined) return store ?? keys
    return Promise.all([store, keys]).then(() => undefined)
  }
}
