/** The current instant in whole seconds since the Unix epoch (a NumericDate, RFC 7519 section 2). */
export type Clock = () => number

export const systemClock: Clock = () => Math.floor(Date.now() / 1000)

/** Milliseconds on a clock that nobody sets: for intervals and ages. */
export const monotonicClock = () => performance.now()

/** Epoch seconds as an RFC 3339 string with whole seconds, for example `2026-11-21T15:17:00Z`. */
export function toTimestamp(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
}
