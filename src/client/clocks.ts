/** Time as the client sees it, and timers. A test passes its own. */
export interface Clock {
  /** Milliseconds from any start. Nobody can set it; it may stand still while the device sleeps. */
  monotonic(): number
  /** Milliseconds since 1970. People and time servers set it, so only differences are used. */
  wall(): number
  setTimeout(run: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
}

/** Milliseconds since one moment. */
export type Elapsed = () => number

/**
 * Counts from now on, by the clock that says more. So hours of sleep count, and a wall clock that is set back does no
 * harm. One that is set forward makes things look older than they are: once, because what comes after is counted from
 * the new time.
 */
export function startCounting(clock: Clock): Elapsed {
  const monotonic = clock.monotonic()
  const wall = clock.wall()
  return () => Math.max(clock.monotonic() - monotonic, clock.wall() - wall)
}

/** The clocks and timers of the platform. In Node a waiting timer does not keep the process alive. */
export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  setTimeout(run, ms) {
    const timer = setTimeout(run, ms) as { unref?(): void } // a number in browsers
    timer.unref?.()
    return timer
  },
  clearTimeout: (timer) => clearTimeout(timer as number),
}
