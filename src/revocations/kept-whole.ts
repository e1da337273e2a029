import { setTimeout as delay } from 'node:timers/promises'
import type { Whole } from './change-whole.ts'
import { GATHER_MS } from './gathered-releases.ts'

/** How long a whole is kept for others who need one. */
const MAX_AGE_MS = 300_000
/** The largest share of the time that may go into making wholes. */
const MAX_SHARE = 0.1

/** The whole that was made last, for everybody who needs one. Two are in memory at most. */
export class KeptWhole {
  readonly #options: { make: () => Promise<Whole>; isGood: (whole: Whole) => boolean; monotonic: () => number }
  #kept: { readonly made: Promise<Whole>; readonly at: number } | undefined
  #before: Promise<Whole> | undefined
  #notBefore = Number.NEGATIVE_INFINITY

  constructor(options: { make: () => Promise<Whole>; isGood: (whole: Whole) => boolean; monotonic: () => number }) {
    this.#options = options
  }

  /** A good one: that of before, or a new one. All who ask meanwhile share it. */
  async current(): Promise<Whole> {
    const kept = this.#kept
    const known = await kept?.made
    if (known !== undefined && this.#options.isGood(known)) return known
    if (this.#kept === kept) this.#replace()
    return (this.#kept ?? this.#replace()).made
  }

  /** Frees the memory when nobody asked for a new one in a long time. */
  forgetOld(): void {
    if (this.#kept !== undefined && this.#options.monotonic() - this.#kept.at > MAX_AGE_MS) this.#drop()
  }

  /** It may be of another history: the next one need not wait. */
  reset(): void {
    this.#drop()
    this.#notBefore = Number.NEGATIVE_INFINITY
  }

  /** Whoever still reads the one before the last is cut off, and asks again. */
  #drop(): void {
    this.#before?.then(({ pages }) => pages.splice(0)).catch(() => undefined)
    this.#before = this.#kept?.made
    this.#kept = undefined
  }

  #replace() {
    this.#drop()
    const kept = { made: this.#make(), at: this.#options.monotonic() }
    this.#kept = kept
    kept.made.catch(() => {
      if (this.#kept === kept) this.#kept = undefined
    })
    return kept
  }

  async #make(): Promise<Whole> {
    const { monotonic, make } = this.#options
    await delay(Math.max(0, this.#notBefore - monotonic()))
    const began = monotonic()
    const whole = await make()
    this.#notBefore = monotonic() + Math.max(GATHER_MS, (monotonic() - began) / MAX_SHARE)
    return whole
  }
}
