const MOST_SECONDS = 60
/** By how much a wait may be longer than asked for, so that many who were sent away together do not come together. */
const JITTER = 0.25
const STATUSES = [200, 304, 429, 503]

/**
 * Milliseconds that an answer asks to wait before the next request (RFC 9110 section 10.2.3), at most a minute and
 * then up to a quarter more; 0 when it does not ask.
 *
 * @param now epoch seconds
 * @param random 0 to 1
 */
export function retryAfterMs(
  { status, headers }: Pick<Response, 'status' | 'headers'>,
  now: number,
  random: number,
): number {
  const said = headers.get('retry-after')?.trim() ?? ''
  if (said === '' || !STATUSES.includes(status)) return 0
  const seconds = /^\d+$/.test(said) ? Number(said) : Date.parse(said) / 1000 - now
  const bounded = Math.min(MOST_SECONDS, Math.max(0, seconds)) // NaN for what is neither number nor date
  return Number.isNaN(bounded) ? 0 : bounded * 1000 * (1 + JITTER * random)
}
