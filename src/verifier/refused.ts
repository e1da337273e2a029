import { AppError, type ErrorCode } from '../errors/app-error.ts'
import type { Refusal } from '../errors/refusals.ts'

type Listener = (event: { readonly type: 'refused'; readonly refusal: Refusal; readonly code: ErrorCode }) => void

/** Counts what a verifier refused, by reason, and tells its listener. Each error counts once, wherever it passes. */
export class Refused {
  readonly #listener: Listener
  readonly #noted = new WeakSet<AppError>()
  readonly #counts = new Map<Refusal, number>()

  constructor(listener: Listener) {
    this.#listener = listener
  }

  /** @returns the same error, to be thrown */
  note(error: unknown): unknown {
    if (!(error instanceof AppError) || error.refusal === undefined || this.#noted.has(error)) return error
    const { refusal, code } = error
    this.#noted.add(error)
    this.#counts.set(refusal, (this.#counts.get(refusal) ?? 0) + 1)
    this.#listener({ type: 'refused', refusal, code })
    return error
  }

  /** The same as `work`, whose errors are noted, also those of its promise. */
  noting<T>(work: () => T): T {
    try {
      const done = work()
      if (!(done instanceof Promise)) return done
      return done.catch((error) => {
        throw this.note(error)
      }) as T
    } catch (error) {
      throw this.note(error)
    }
  }

  counts(): Partial<Record<Refusal, number>> {
    return Object.fromEntries(this.#counts)
  }
}
