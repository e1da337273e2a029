import { type Clock, type Instant, secondsSince } from '../clock.ts'
import { LOOK_FIRST_AFTER_SECONDS, LOOK_TIMEOUT_MS, type Revocations } from './follow-revocations.ts'
import { settlesWithin } from './settles-within.ts'

/** The look to wait for before a token is judged; undefined when none is due, as nearly always. */
export type LookFirst = () => Promise<void> | undefined

/** How often the process notes that it runs. Well below LOOK_FIRST_AFTER_SECONDS. */
export const TICK_MS = 250

/** Calls `tick` again and again, and returns a function that stops it. */
export type Every = (milliseconds: number, tick: () => void) => () => void

const everyInterval: Every = (milliseconds, tick) => {
  const timer = setInterval(tick, milliseconds).unref()
  return () => clearInterval(timer)
}

/**
 * A process that stood still (stopped, a frozen machine, a laptop that slept) does not know what was revoked meanwhile.
 * Requests may reach it before its timers do. So before it accepts the first tokens it looks at the store, and reads
 * the keyring: a key may have been revoked too.
 *
 * A timer of its own shows that the process runs. The looks at the store do not: when the database is slow they end
 * rarely, and then every request would wait for one.
 *
 * @returns `lookFirst`, and `close`, which stops the timer
 */
export function createLookFirst(parts: {
  revocations: Pick<Revocations, 'lookFirst'>
  /** Reads the keys folder again. Never rejects. */
  reloadKeys: () => Promise<void>
  /** Milliseconds that only go forward. */
  monotonic: () => number
  now: Clock
  every?: Every
}): { readonly lookFirst: LookFirst; close(): void } {
  const { revocations, reloadKeys, every = everyInterval } = parts
  const instant = (): Instant => ({ monotonic: parts.monotonic(), wall: parts.now() })
  const stoodStill = () => secondsSince(running, instant()) > LOOK_FIRST_AFTER_SECONDS
  // While this process runs, `followKeys` reads the folder every second. So it is enough to know since when it runs.
  let running = instant()
  let looking: Promise<void> | undefined
  // The second in which nothing was due. Whoever stood still for two seconds finds another one on the clock, so all
  // that a verified request pays is one reading of the system clock.
  let fineAt = Number.NaN

  const lookNow = async () => {
    const began = instant()
    await Promise.all([revocations.lookFirst(), settlesWithin(reloadKeys(), LOOK_TIMEOUT_MS)])
    running = began
  }
  const look = (): Promise<void> => {
    fineAt = Number.NaN
    looking ??= lookNow().finally(() => {
      looking = undefined
    })
    return looking
  }
  const close = every(TICK_MS, () => {
    if (stoodStill())
      look().catch(() => undefined) // the requests that wait for it get the error
    else running = instant()
  })

  const lookFirst = () => {
    const second = parts.now()
    if (second === fineAt) return undefined
    if (looking !== undefined || stoodStill()) return look()
    fineAt = second
    return undefined
  }
  return { lookFirst, close }
}
