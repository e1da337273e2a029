import type { Clock } from '../../../../src/client/index.ts'

// Time that only the run moves: the server and every device live in it, so a day costs nothing.

/** Timers that are due within so many milliseconds run together. Less than what a tab waits for the other tabs. */
const TICK_MS = 20

interface Timer {
  readonly device: DeviceClock
  /** By the monotonic clock of its device. */
  readonly at: number
  readonly run: () => void
}

export class SimulatedTime {
  #ms = Date.UTC(2026, 0, 1)
  #pending = 0
  readonly #timers = new Set<Timer>()
  readonly #devices = new Set<DeviceClock>()

  get ms(): number {
    return this.#ms
  }

  /** The clock of the server: epoch seconds. */
  readonly seconds = (): number => Math.floor(this.#ms / 1000)

  device(): DeviceClock {
    const device = new DeviceClock(this, this.#timers)
    this.#devices.add(device)
    return device
  }

  /** Counts work outside, such as a request to the server: no time passes while it is under way. */
  async outside<T>(work: PromiseLike<T>): Promise<T> {
    this.#pending += 1
    try {
      return await work
    } finally {
      this.#pending -= 1
    }
  }

  /** Resolves when nothing happens any more unless time passes. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 6; quiet = this.#pending === 0 ? quiet + 1 : 0) await new Promise(setImmediate)
  }

  /** Lets time pass, and runs what is due on the way. */
  async pass(ms: number): Promise<void> {
    await this.settle()
    const end = this.#ms + ms
    for (;;) {
      let first = Number.POSITIVE_INFINITY
      for (const timer of this.#timers) first = Math.min(first, dueMs(timer))
      if (first > end) break
      this.#move(Math.min(Math.max(first + TICK_MS, this.#ms), end))
      for (const timer of [...this.#timers]) {
        if (dueMs(timer) > this.#ms) continue
        this.#timers.delete(timer)
        timer.run()
      }
      await this.settle()
    }
    this.#move(end)
    await this.settle()
  }

  #move(to: number): void {
    for (const device of this.#devices) if (device.isAsleep) device.behindMs += to - this.#ms
    this.#ms = to
  }
}

const dueMs = ({ device, at }: Timer) => (device.isAsleep ? Number.POSITIVE_INFINITY : at + device.behindMs)

/**
 * The clocks of one device. Its wall clock can be wrong; while it sleeps, its monotonic clock and timers stand still.
 */
export class DeviceClock implements Clock {
  isAsleep = false
  /** How much of the time it has slept, in milliseconds. */
  behindMs = 0
  wallErrorMs = 0
  readonly #time: SimulatedTime
  readonly #timers: Set<Timer>

  constructor(time: SimulatedTime, timers: Set<Timer>) {
    this.#time = time
    this.#timers = timers
  }

  monotonic(): number {
    return this.#time.ms - this.behindMs
  }

  wall(): number {
    return this.#time.ms + this.wallErrorMs
  }

  setTimeout(run: () => void, ms: number): unknown {
    const timer: Timer = { device: this, at: this.monotonic() + Math.max(ms, 0), run }
    this.#timers.add(timer)
    return timer
  }

  clearTimeout(timer: unknown): void {
    this.#timers.delete(timer as Timer)
  }
}
