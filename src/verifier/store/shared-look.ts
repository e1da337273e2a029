import { parsedObject } from './stored-text.ts'
import { type BoundedStore, StoreFailed } from './verifier-store.ts'

/** Milliseconds between two looks into the store while another verifier asks the issuer. */
const POLL_MS = { least: 50, most: 400 }
/**
 * Seconds after which nobody waits for a note any more, beyond the time limit of a request: clocks count in seconds.
 */
const NOTE_EXTRA_SECONDS = 1
/** Seconds from a failed request to the next, doubled by each failure in a row up to what a look allows. */
const FAILED_SECONDS = 1
/** After so many waits in vain a look is made without regard to notes: who writes them never succeeds. */
const MOST_IN_VAIN = 2
/** Notes of failures, each a new one, hold nobody back for longer. */
const MOST_HELD_BACK_MS = 30_000

/**
 * Milliseconds that a look takes at the most.
 *
 * @param timeout of a request
 * @param isShared whether there is a store: then somebody may wait for another verifier first, and a store be slow
 */
export function mostOfLook(timeout: number, isShared: boolean): number {
  return (isShared ? 2 * timeout + 10_000 : timeout) + 1000
}

/** Another verifier that shares the store was to ask the issuer, and there is no answer of it. */
export class NobodyAnswered extends Error {
  override readonly name = 'NobodyAnswered'
}

/** Who asks the issuer now, or has failed to. */
interface Note {
  /** Another text for each look of each verifier. */
  readonly who: string
  readonly state: 'asks' | 'failed' | 'done'
  /** Epoch seconds when it was written. */
  readonly at: number
  /** Failures in a row. */
  readonly failures: number
}

const NO_NOTE: Note = { who: '', state: 'done', at: 0, failures: 0 }

export interface SharedLookOptions {
  readonly store: BoundedStore
  /** Of the note. */
  readonly name: string
  /** Epoch seconds. */
  readonly now: () => number
  /** Milliseconds that only go forward. */
  readonly monotonic: () => number
  /** Milliseconds of a request to the issuer: so long is the answer of another verifier waited for. */
  readonly timeout: number
  /** Seconds that the clocks of two verifiers may differ. */
  readonly skew: number
  /** Resolves after so many milliseconds. */
  readonly delay: (milliseconds: number) => Promise<void>
  /** From 0 to 1. */
  readonly random: () => number
  readonly onFailure: (error: StoreFailed) => void
}

export interface LookedFor<T> {
  /** What the store has, if that will do. @throws StoreFailed when the store fails */
  readonly found: () => Promise<T | undefined>
  /** Asks the issuer, and puts the answer into the store. */
  readonly ask: () => Promise<T>
  /** Milliseconds for which a note has to stand before its writer asks. */
  readonly settleMs: number
  /** Most seconds for which nobody asks after failures. */
  readonly mostFailedSeconds: number
}

/**
 * One look at the issuer for all verifiers that share a store, with nothing but `get` and `put`. Who finds nothing in
 * the store writes a note that it asks, waits a moment, and asks only if the note is still its own. The others wait for
 * what it puts. This is no lock: where a store shows a text late, a few may ask. A note ends by its time, so that one
 * whose writer has died stops nobody for longer than one request.
 */
export class SharedLook {
  readonly #options: SharedLookOptions
  /** Of all notes of this verifier. */
  readonly #self: string
  #notes = 0
  #inVain = 0
  /** Since when no look was made because others had failed: milliseconds of both clocks. */
  #heldBackSince: { readonly monotonic: number; readonly now: number } | undefined

  constructor(options: SharedLookOptions) {
    this.#options = options
    this.#self = `${newId(options.random)}.`
  }

  /** @throws NobodyAnswered, two seconds after `timeout` at the latest; what `ask` throws */
  async look<T>(looked: LookedFor<T>): Promise<T> {
    const turn = await this.#turn(looked).catch((error) => {
      if (!(error instanceof StoreFailed)) throw error
      this.#options.onFailure(error)
      return NO_NOTE // a store that fails is no reason to ask nobody
    })
    this.#heldBackSince = undefined
    if ('value' in turn) return turn.value
    try {
      const value = await looked.ask()
      this.#inVain = 0
      await this.#write({ ...turn, state: 'done', failures: 0 })
      return value
    } catch (error) {
      await this.#write({ ...turn, state: 'failed', failures: turn.failures + 1 })
      throw error
    }
  }

  /** @returns what was found, or a note when it is this verifier's turn to ask */
  async #turn<T>({ found, settleMs, mostFailedSeconds }: LookedFor<T>): Promise<{ value: T } | Note> {
    const { monotonic, timeout, delay, random } = this.#options
    // A note that was written just now is over before that, so the end of a verifier that died is waited for.
    const deadline = monotonic() + timeout + (NOTE_EXTRA_SECONDS + 1) * 1000
    let stood = 0
    for (let pause = POLL_MS.least; ; pause = Math.min(POLL_MS.most, pause * 1.5)) {
      const value = await found()
      if (value !== undefined) {
        this.#inVain = 0
        return { value }
      }
      const note = await this.#read()
      if (this.#inVain >= MOST_IN_VAIN) return note
      if (this.#hasFailed(note, mostFailedSeconds)) {
        if (this.#isHeldBackTooLong()) return note
        throw new NobodyAnswered('another verifier got no answer a moment ago')
      }
      if (this.#isAsking(note)) {
        if (monotonic() >= deadline) break
        await delay(pause * (0.5 + random()))
        continue
      }
      if (stood > 1) return note // the store does not keep what is put there
      stood += 1
      const own = await this.#stand(note, settleMs)
      if (own === undefined) continue
      const late = await found()
      return late === undefined ? own : { value: late }
    }
    this.#inVain += 1
    throw new NobodyAnswered('another verifier was to ask the issuer, and there is no answer of it')
  }

  /** Writes a note in place of one that is over. @returns the own note, if it still stands after a moment */
  async #stand({ failures }: Note, settleMs: number): Promise<Note | undefined> {
    const { store, name, monotonic, delay, now } = this.#options
    this.#notes += 1
    const own: Note = { who: `${this.#self}${this.#notes}`, state: 'asks', at: now(), failures }
    const began = monotonic()
    await store.put(name, JSON.stringify(own))
    // A slow store may also be slow for those who write a note just now.
    await delay(Math.max(settleMs, 2 * (monotonic() - began)))
    return (await this.#read()).who === own.who ? own : undefined
  }

  /** An own note that a store shows late is none of another verifier. */
  #isAsking({ who, state, at }: Note): boolean {
    return (
      state === 'asks' &&
      !who.startsWith(this.#self) &&
      this.#isWithin(at, Math.ceil(this.#options.timeout / 1000) + NOTE_EXTRA_SECONDS)
    )
  }

  #hasFailed({ state, at, failures }: Note, most: number): boolean {
    return state === 'failed' && this.#isWithin(at, Math.min(most, FAILED_SECONDS * 2 ** Math.min(failures - 1, 10)))
  }

  /** By the clock that says more: the monotonic one stops while an isolate is frozen. */
  #isHeldBackTooLong(): boolean {
    const [monotonic, now] = [this.#options.monotonic(), this.#options.now() * 1000]
    this.#heldBackSince ??= { monotonic, now }
    const since = this.#heldBackSince
    return Math.max(monotonic - since.monotonic, now - since.now) >= MOST_HELD_BACK_MS
  }

  /** Whether it is less than so many seconds since then. What is dated in the future is not believed. */
  #isWithin(at: number, seconds: number): boolean {
    const now = this.#options.now()
    return at <= now + this.#options.skew && now < at + seconds
  }

  /** A note that is none counts as none. @throws StoreFailed */
  async #read(): Promise<Note> {
    const { store, name } = this.#options
    const note = parsedObject((await store.get(name))?.slice(0, 500) ?? '')
    const { who, state, at, failures } = note ?? {}
    const isNote =
      typeof who === 'string' &&
      (state === 'asks' || state === 'failed' || state === 'done') &&
      Number.isSafeInteger(at) &&
      Number.isSafeInteger(failures)
    return isNote ? (note as unknown as Note) : NO_NOTE
  }

  /** Tells the others what came of it. That may fail: a note ends by itself. */
  async #write(note: Note): Promise<void> {
    const { store, name, now, onFailure } = this.#options
    try {
      await store.put(name, JSON.stringify({ ...note, at: now() }))
    } catch (error) {
      onFailure(error as StoreFailed)
    }
  }
}

function newId(random: () => number): string {
  return `${random().toString(36).slice(2)}${random().toString(36).slice(2)}`
}
