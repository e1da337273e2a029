import type { Clock } from '../clock.ts'
import { type Timer, unreferenced } from '../timers.ts'

const BEAT_MS = 1000
/** From this time without a beat on, the process did not only work hard: it stood still. */
const STANDSTILL_SECONDS = 3

/**
 * Notices that this process stood still: a function that was frozen between two calls, a laptop that slept, a container
 * that was paused. What it knows of keys and revocations is then older than it looks.
 */
export class Standstill {
  readonly #now: Clock
  #timer: Timer | undefined
  #beatAt: number
  #count = 0

  constructor(now: Clock) {
    this.#now = now
    this.#beatAt = now()
  }

  /** Begins to watch. Before, `count` stays the same. */
  start(): void {
    if (this.#timer !== undefined) return
    this.#beatAt = this.#now()
    this.#timer = unreferenced(setInterval(() => this.beat(), BEAT_MS))
  }

  /** How often the process stood still up to this moment. @param seconds now, where it was read already */
  count(seconds = this.#now()): number {
    if (this.#timer !== undefined && seconds - this.#beatAt >= STANDSTILL_SECONDS) {
      this.#count += 1
      this.#beatAt = seconds
    }
    return this.#count
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Called by a timer, as long as the process does not stand still. */
  beat(): void {
    try {
      this.count()
      this.#beatAt = this.#now()
    } catch {} // a clock that throws is reported by the next token
  }
}
