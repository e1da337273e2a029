/** The current instant in whole seconds since the Unix epoch (a NumericDate, RFC 7519 section 2). */
export type Clock = () => number

export const systemClock: Clock = () => Math.floor(Date.now() / 1000)

/** Milliseconds on a clock that nobody sets: for intervals and ages. */
export const monotonicClock = () => performance.now()

/** Of so many readings the earliest counts. */
const READINGS = 32

/**
 * The clock by which things are thrown away. Somebody may set the clock forward and, when the mistake is seen, back: what was
 * deleted meanwhile (a revocation, a used assertion) would be missing then. So a step forward is believed only after it has
 * lasted for `patience` seconds; a step back at once. Whoever deletes by it asks it now and then, all the time.
 *
 * @param monotonic milliseconds that only go forward
 */
export function createDeletionClock(now: Clock, monotonic: () => number, patience: number): Clock {
  let readings = [{ wall: now(), at: monotonic() / 1000 }]
  return () => {
    const at = monotonic() / 1000
    const wall = now()
    // Those within the patience, and the last one before it: that one still counts.
    readings = readings.filter((_, index) => (readings[index + 1]?.at ?? at) > at - patience)
    if (at - (readings.at(-1)?.at ?? Number.NEGATIVE_INFINITY) >= patience / READINGS) readings.push({ wall, at })
    return readings.reduce((earliest, one) => Math.min(earliest, Math.ceil(one.wall + at - one.at)), wall)
  }
}

/** The seconds in which the tokens of now end, and more. */
const MAX_TIMESTAMPS = 2048
const timestamps = new Map<number, string>()

/** Epoch seconds as an RFC 3339 string with whole seconds, for example `2026-11-21T15:17:00Z`. The same few are asked all the time. */
export function toTimestamp(seconds: number): string {
  const known = timestamps.get(seconds)
  if (known !== undefined) return known
  const text = `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
  if (timestamps.size >= MAX_TIMESTAMPS) timestamps.clear()
  timestamps.set(seconds, text)
  return text
}
