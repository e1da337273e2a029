import type { Clocks } from './keys/jwks-copy.ts'

/** The system clock may count in whole seconds. */
const PRECISION_SECONDS = 1

/** Failures in a row of looks at the issuer. */
export class Failures {
  #count = 0
  #last: Clocks | undefined

  get count(): number {
    return this.#count
  }

  add(at: Clocks): void {
    this.#count += 1
    this.#last = at
  }

  clear(): void {
    this.#count = 0
    this.#last = undefined
  }

  /**
   * Whether the last failure is younger than so many milliseconds, by the clock that says more: the monotonic one stops
   * while an isolate is frozen, and the one of the system may be set back.
   */
  isWithin(milliseconds: number, { monotonic, seconds }: Clocks): boolean {
    const last = this.#last
    if (last === undefined) return false
    const bySystem = (seconds - last.seconds - PRECISION_SECONDS) * 1000
    return Math.max(monotonic - last.monotonic, bySystem) < milliseconds
  }
}
