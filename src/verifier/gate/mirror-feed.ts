import { createFairShare } from '../../limits/fair-share.ts'
import type { ChangesClaims } from '../../revocations/changes-format.ts'
import { createFeedWaits, type HangUp } from '../../revocations/feed-waits.ts'
import type { Outcome } from '../feed/feed-copy.ts'
import { FeedLog, type FeedNotes } from '../store/feed-log.ts'

/** Most characters of the whole and its changes: more than a million revocations. */
const MOST_CHARACTERS = 64 * 1024 * 1024
/** Of the lines that a follower that is behind may get instead of the whole. */
const MOST_TAIL = { lines: 256, characters: 64 * 1024 }
/** Cursors of renewals are of use for one long poll; those of changes as long as the line. */
const MOST_CURSORS = 1024
/** Seconds from one question for a whole to the next, while it is too long to be kept. */
const ASK_AGAIN_SECONDS = 60
/** Followers that may wait at a time. One network gets half of the places when it is alone. */
const MOST_WAITERS = 10_000

type Keys = Parameters<FeedNotes['isOutgrown']>[1]

/** A line that leads on from those before it. */
interface Line {
  /** Counts what was taken, from 1. */
  readonly number: number
  readonly text: string
  readonly isRenewal: boolean
}

/** What to answer with. */
export interface MirroredChanges {
  /** Lines, each with its line feed. Shared by all who get the same. */
  readonly body: Buffer
  /** There was no place to wait. */
  readonly isTurnedAway: boolean
}

/**
 * The change stream of an issuer as a verifier took it, for other followers. Whoever takes the same lines in the same
 * order holds the same: so a cursor that the verifier held says what its follower has, and what is missing are the
 * lines that the verifier took afterwards. Nothing is in it that the verifier has not verified.
 */
export class MirrorFeed implements FeedNotes {
  readonly #log: FeedLog
  readonly #waits: ReturnType<typeof createFeedWaits<string>>
  readonly #now: () => number
  /** What was taken after the oldest cursor that is known. */
  #tail: Line[] = []
  /** By cursor: the number of the line with which the verifier held it. The same text may come again. */
  readonly #cursors = new Map<string, number>()
  #number = 0
  /** The last line that is no page and whose cursor is held: it says until when the copy is fresh. */
  #newest: string | undefined
  #held: { readonly history: string; readonly seq: number; readonly keys: string } | undefined
  /** Answers by what the follower has, while the log stays the same: hundreds may ask for a long one at a time. */
  readonly #bodies = new Map<number | undefined, Buffer>()
  #bodiesOf = 0
  #isClosed = false
  /** Epoch seconds of the last question for a whole in place of one that was too long. */
  #askedAt = Number.NEGATIVE_INFINITY

  /** @param now epoch seconds */
  constructor(now: () => number, mostWaiters = MOST_WAITERS, mostCharacters = MOST_CHARACTERS) {
    this.#now = now
    this.#log = new FeedLog(mostCharacters)
    this.#waits = createFeedWaits<string>(createFairShare(mostWaiters))
  }

  took(line: string, document: ChangesClaims, outcome: Outcome, isOfNewHistory: boolean, now: number): void {
    this.#log.took(line, document, outcome, isOfNewHistory, now)
    if (outcome !== 'applied') return
    this.#number += 1
    const { history, seq, cursor } = document
    const keys = JSON.stringify(document.keys ?? [])
    if (document.page !== undefined) {
      const held = this.#held
      if (held?.history !== history || held.seq !== seq || held.keys !== keys) this.#forget() // it may say more
    } else {
      this.#add(line, document)
      if (seq < (this.#held?.seq ?? 0)) return // late: its cursor is not held
      this.#newest = line
    }
    this.#held = { history, seq, keys }
    this.#cursors.delete(cursor) // so that the order is that of the numbers
    this.#cursors.set(cursor, this.#number)
    if (this.#cursors.size > MOST_CURSORS) this.#cursors.delete(this.#cursors.keys().next().value ?? '')
  }

  /** The issuer has no change stream now: there is nothing that a follower could go on from. */
  tookFeed(text: string, isOfNewHistory: boolean, now: number): void {
    this.#log.tookFeed(text, isOfNewHistory, now)
    this.#forget()
    this.#held = undefined
  }

  isOutgrown(now: number, keys: Keys): boolean {
    if (this.#held === undefined || this.#log.parts(now) !== undefined) return this.#log.isOutgrown(now, keys)
    if (now < this.#askedAt + ASK_AGAIN_SECONDS) return false
    this.#askedAt = now
    return true
  }

  /** Lets those go who wait for what was taken: at the end of each answer of the issuer. */
  tell(): void {
    void this.#waits.release((cursor) => !this.#isUpToDate(cursor))
  }

  /**
   * What a follower gets that asks with a cursor. What it has already comes again when there is nothing newer: by its
   * dates the follower sees whether that is still fresh.
   *
   * @param milliseconds to wait at most for something newer
   * @returns undefined while there is nothing to serve
   */
  async changes(
    after: string,
    milliseconds: number,
    client: HangUp,
    network: string,
  ): Promise<MirroredChanges | undefined> {
    if (milliseconds === 0 || !this.#isUpToDate(after)) return this.#answer(after, false)
    const waiting = this.#waits.wait(after, milliseconds, client, network)
    await waiting
    return this.#answer(after, waiting === undefined)
  }

  get waiters(): number {
    return this.#waits.size
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  close(): void {
    this.#isClosed = true
    this.#waits.close()
  }

  #isUpToDate(cursor: string): boolean {
    const number = this.#cursors.get(cursor)
    return number !== undefined && number >= (this.#tail.at(-1)?.number ?? 0)
  }

  #answer(after: string, isTurnedAway: boolean): MirroredChanges | undefined {
    const number = this.#cursors.get(after)
    if (this.#bodiesOf !== this.#log.version) this.#bodies.clear()
    this.#bodiesOf = this.#log.version
    const body = this.#bodies.get(number) ?? this.#body(number)
    if (body === undefined) return undefined
    this.#bodies.set(number, body)
    return { body, isTurnedAway }
  }

  /** @param number of the line that the follower has; undefined: it has nothing that is known */
  #body(number: number | undefined): Buffer | undefined {
    const part = this.#held && this.#log.parts(this.#now())?.at(-1)
    if (part === undefined) return undefined
    const newer = this.#tail.filter((line) => line.number > (number ?? 0)).map(({ text }) => text)
    const again = this.#newest === undefined ? part.lines : [this.#newest]
    const lines = number === undefined ? part.lines : newer.length > 0 ? newer : again
    return Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1') // a compact JWS is ASCII
  }

  #add(text: string, { after, seq }: ChangesClaims): void {
    const line = { number: this.#number, text, isRenewal: after === seq }
    if (line.isRenewal && this.#tail.at(-1)?.isRenewal === true) this.#tail.pop()
    this.#tail.push(line)
    let characters = this.#tail.reduce((sum, { text }) => sum + text.length, 0)
    while (this.#tail.length > MOST_TAIL.lines || (characters > MOST_TAIL.characters && this.#tail.length > 1)) {
      const { number, text } = this.#tail.shift() as Line
      characters -= text.length
      for (const [cursor, at] of this.#cursors) if (at < number) this.#cursors.delete(cursor)
    }
  }

  #forget(): void {
    this.#tail = []
    this.#newest = undefined
    this.#cursors.clear()
  }
}
