import { AppError, type ErrorCode } from '../errors/app-error.ts'
import type { ChallengeParameters } from '../errors/problem.ts'
import type { Refusal } from '../errors/refusals.ts'
import { isPromise } from '../tokens/verify.ts'

type Listener = (
  event:
    | { readonly type: 'refused'; readonly refusal: Refusal; readonly code: ErrorCode }
    | { readonly type: 'internal'; readonly error: unknown },
) => void

/**
 * Counts what a verifier refused, by reason, and tells its listener. Each refusal counts once, wherever it passes. It
 * also gets the parameters of every challenge of this service, so that whoever answers it needs no verifier.
 */
export class Refused {
  readonly #listener: Listener
  readonly #everyChallenge: ChallengeParameters
  readonly #noted = new WeakSet<AppError>()
  readonly #counts = new Map<Refusal, number>()

  constructor(listener: Listener, everyChallenge: ChallengeParameters = {}) {
    this.#listener = listener
    this.#everyChallenge = everyChallenge
  }

  /** @returns the same error, to be thrown */
  note(error: unknown): unknown {
    if (!(error instanceof AppError)) {
      this.#listener({ type: 'internal', error })
      return error
    }
    if (this.#noted.has(error)) return error
    const { refusal, code } = error
    this.#noted.add(error)
    error.addToChallenge(this.#everyChallenge)
    if (refusal === undefined) return error
    this.#counts.set(refusal, (this.#counts.get(refusal) ?? 0) + 1)
    this.#listener({ type: 'refused', refusal, code })
    return error
  }

  /** The same as `work`, whose errors are noted, also those of its promise. */
  noting<T>(work: () => T): T {
    try {
      const done = work()
      if (!isPromise(done)) return done
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
