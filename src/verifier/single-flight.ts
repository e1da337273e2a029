interface Flight<T> {
  readonly promise: Promise<T>
  /** Milliseconds of the monotonic clock. */
  readonly lostAt: number
}

/**
 * One piece of work at a time, however many ask for it. In Cloudflare's workerd the request that began it may be
 * cancelled, and then the promise is never settled: after a while the next one to ask begins anew.
 */
export class SingleFlight<T> {
  readonly #monotonic: () => number
  readonly #lostAfterMs: number
  #flight: Flight<T> | undefined

  /** @param lostAfterMs milliseconds: more than the work can take */
  constructor(monotonic: () => number, lostAfterMs: number) {
    this.#monotonic = monotonic
    this.#lostAfterMs = lostAfterMs
  }

  /** The work that is under way, if any. */
  get current(): Promise<T> | undefined {
    const flight = this.#flight
    return flight !== undefined && this.#monotonic() < flight.lostAt ? flight.promise : undefined
  }

  /** Joins the work that is under way, or begins it. */
  run(work: () => Promise<T>): Promise<T> {
    const { current } = this
    if (current !== undefined) return current
    const promise = work().finally(() => {
      if (this.#flight?.promise === promise) this.#flight = undefined
    })
    this.#flight = { promise, lostAt: this.#monotonic() + this.#lostAfterMs }
    return promise
  }
}
