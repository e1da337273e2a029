import { monotonicClock } from '../../clock.ts'

const PERIOD_MS = 60_000
/** Different messages in a period. */
const MOST = 20

/**
 * Reports each message at most once a minute, and few different ones: a slip of a gateway comes with every request, and
 * whoever can write a part of a question could fill the disk.
 *
 * @param monotonic milliseconds that only go forward
 */
export function limitedReport(
  report: (message: string) => void,
  monotonic = monotonicClock,
): (message: string) => void {
  const reported = new Set<string>()
  let since = monotonic()
  return (message) => {
    if (monotonic() >= since + PERIOD_MS) {
      reported.clear()
      since = monotonic()
    }
    if (reported.has(message) || reported.size >= MOST) return
    reported.add(message)
    report(message)
  }
}
