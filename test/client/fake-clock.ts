import type { Clock } from '../../src/client/clocks.ts'

interface Timer {
  readonly at: number
  readonly run: () => void
}

/** A clock that moves only when a test moves it, and the timers on it. */
export function fakeClock() {
  let monotonicMs = 1000
  let wallMs = Date.UTC(2026, 0, 1)
  /** Time that really passed: for a server. */
  let passedMs = 0
  let pending = 0
  const timers = new Set<Timer>()

  const clock: Clock = {
    monotonic: () => monotonicMs,
    wall: () => wallMs,
    setTimeout(run, ms) {
      const timer = { at: monotonicMs + Math.max(ms, 0), run }
      timers.add(timer)
      return timer
    },
    clearTimeout: (timer) => void timers.delete(timer as Timer),
  }
  /** Resolves when nothing happens any more unless time passes. */
  const settle = async () => {
    for (let quiet = 0; quiet < 4; quiet = pending === 0 ? quiet + 1 : 0) await new Promise(setImmediate)
  }
  const move = (ms: number) => {
    monotonicMs += ms
    wallMs += ms
    passedMs += ms
  }
  return {
    clock,
    settle,
    timers: () => timers.size,
    passedMs: () => passedMs,
    /** Counts work outside, such as a request to a server, so that `settle` waits for it. */
    async outside<T>(work: Promise<T>): Promise<T> {
      pending += 1
      try {
        return await work
      } finally {
        pending -= 1
      }
    },
    /** Lets time pass, and runs what is due on the way. */
    async pass(ms: number): Promise<void> {
      await settle()
      const end = monotonicMs + ms
      for (;;) {
        const [next] = [...timers].sort((one, other) => one.at - other.at)
        if (next === undefined || next.at > end) break
        timers.delete(next)
        move(Math.max(next.at - monotonicMs, 0))
        next.run()
        await settle()
      }
      move(end - monotonicMs)
      await settle()
    },
    /** The device sleeps: the monotonic clock stands still. */
    async sleep(ms: number): Promise<void> {
      await settle()
      wallMs += ms
      passedMs += ms
      await settle()
    },
    /** Somebody sets the wall clock. */
    setWall(byMs: number): void {
      wallMs += byMs
    },
  }
}

export type FakeClock = ReturnType<typeof fakeClock>
