/**
 * Milliseconds from one search for unknown kids to the next: doubled by each that found nothing, so that a flood of
 * kids is no flood of requests.
 */
const COOL_DOWN_MS = { least: 1000, most: 10_000 }
/** How many kids that were not found are remembered, and for how many milliseconds they are not searched again. */
const NOT_FOUND = { maxKids: 1000, forMs: 5000 }

/** The kid as it is remembered and sent: a token can bring one of thousands of characters. */
export const boundedKid = (kid: string) => kid.slice(0, 255)

/** When a kid that no key has may be searched at the issuer: anybody can send tokens with new kids. */
export class KidSearch {
  readonly #monotonic: () => number
  readonly #notFound = new Map<string, number>()
  #searchedAt = Number.NEGATIVE_INFINITY
  #coolDown = COOL_DOWN_MS.least

  /** @param monotonic milliseconds that only go forward */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
  }

  maySearch(kid: string): boolean {
    const now = this.#monotonic()
    return now >= this.#searchedAt + this.#coolDown && !(now < (this.#notFound.get(boundedKid(kid)) ?? 0))
  }

  began(): void {
    this.#searchedAt = this.#monotonic()
  }

  ended(kid: string, wasFound: boolean): void {
    this.#coolDown = wasFound ? COOL_DOWN_MS.least : Math.min(COOL_DOWN_MS.most, this.#coolDown * 2)
    if (wasFound) return
    if (this.#notFound.size >= NOT_FOUND.maxKids) this.#notFound.delete(this.#notFound.keys().next().value ?? '')
    this.#notFound.set(boundedKid(kid), this.#monotonic() + NOT_FOUND.forMs)
  }
}
