import type { Clock } from '../clock.ts'

const FIRST_PAUSE_SECONDS = 5
const LONGEST_PAUSE_SECONDS = 60

/**
 * How many messages may be tried at once. While the way out is closed, one message at a time finds out whether it is
 * open again: the others keep their attempts, and leave as soon as it is.
 */
export class Outage {
  readonly #now: Clock
  readonly #most: number
  #failures = 0
  #until = 0

  constructor(now: Clock, most: number) {
    this.#now = now
    this.#most = most
  }

  allowed(): number {
    if (this.#failures === 0) return this.#most
    return this.#now() < this.#until ? 0 : 1
  }

  failed(): void {
    const pause = Math.min(FIRST_PAUSE_SECONDS * 2 ** this.#failures, LONGEST_PAUSE_SECONDS)
    this.#failures += 1
    this.#until = this.#now() + pause
  }

  over(): void {
    this.#failures = 0
  }
}
