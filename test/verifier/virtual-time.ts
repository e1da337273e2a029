/** A clock that moves only when everything else stands still, and what waits for it. Whole milliseconds. */
export class VirtualTime {
  #at: number
  readonly #waiting = new Map<number, (() => void)[]>()

  constructor(startMs = 1_800_000_000_000) {
    this.#at = startMs
  }

  /** Milliseconds that only go forward. */
  readonly monotonic = () => this.#at
  /** Epoch seconds. */
  readonly now = () => Math.floor(this.#at / 1000)
  readonly delay = (milliseconds: number) =>
    new Promise<void>((go) => {
      const at = this.#at + Math.ceil(milliseconds)
      const others = this.#waiting.get(at)
      if (others === undefined) this.#waiting.set(at, [go])
      else others.push(go)
    })

  /** Lets time pass until the promise is settled, in the order in which things are due. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settle = () => {
      isSettled = true
    }
    promise.then(settle, settle)
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      if (isSettled) return promise
      const next = Math.min(...this.#waiting.keys())
      if (!Number.isFinite(next)) throw new Error('nothing is due, and the promise is not settled')
      this.#at = next
      const due = this.#waiting.get(next) ?? []
      this.#waiting.delete(next)
      for (const go of due) go()
    }
  }
}
