/**
 * Repeats a piece of work for a time, with a fixed number of them in progress.
 *
 * @returns completed pieces per second
 */
export async function perSecond(work: () => Promise<unknown>, inFlight: number, seconds: number): Promise<number> {
  const started = performance.now()
  const deadline = started + seconds * 1000
  let done = 0
  const lane = async () => {
    while (performance.now() < deadline) {
      await work()
      done += 1
    }
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  // Work in progress at the deadline is finished and counted, and so is its time.
  return done / ((performance.now() - started) / 1000)
}
