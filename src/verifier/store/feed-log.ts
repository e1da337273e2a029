import type { ChangesClaims } from '../../revocations/changes-format.ts'
import { revocationExpiry } from '../../revocations/revocation.ts'
import { canonicalBytes } from '../../tokens/base64url.ts'
import type { Outcome } from '../feed/feed-copy.ts'
import { keptUntil } from '../feed/feed-rules.ts'
import { parsedObject } from './stored-text.ts'

/** Most changes after a whole, and seconds for which a whole is built upon: then everything is asked for anew. */
const MOST = { changes: 256, wholeSeconds: 3600 }
/** Seconds from one whole to the next. */
const LEAST_SECONDS = 60
/** Changes may be as long as the whole before them, and at least this long. */
const LEAST_CHARACTERS = 64 * 1024
/** Servers that do not agree yet which history goes on may lead a follower to and fro, for about a second. */
const MOST_LEFT = 32

/** A document as it came, without its line feed. */
interface Line {
  readonly text: string
  /** It changes nothing but dates, keys and cursor: the next one that does not either takes its place. */
  readonly isRenewal: boolean
}

/** A whole, or a whole feed, and the changes after it. */
interface Part {
  /** Which whole it is; undefined for a whole feed. */
  readonly name: string | undefined
  readonly whole: readonly string[]
  readonly changes: Line[]
  /** Epoch seconds when the whole came. */
  readonly since: number
  /** Epoch seconds: from then on none of its entries is needed. */
  until: number
}

/** A whole of which pages are missing. Two answers may bring it at the same time. */
interface Pages {
  readonly lines: string[]
  until: number
}
/** Of so many wholes the pages are kept aside. */
const MOST_PAGED = 4

/** What notes the documents that a copy has judged. */
export type FeedNotes = Pick<FeedLog, 'took' | 'tookFeed' | 'isOutgrown'>

/** The documents of one history as lines: a whole, or a whole feed, and the changes after it. */
export interface LoggedPart {
  /** Epoch seconds when the whole came. */
  readonly since: number
  readonly lines: readonly string[]
}

/**
 * The signed documents that a copy of the feed was made of, as they came. Taken in the same order they make the same
 * copy again. It is bounded: what is over is dropped, and when there is too much of the rest, `isOutgrown` says that
 * everything has to be asked for anew.
 */
export class FeedLog {
  readonly #mostCharacters: number
  #left: readonly Part[] = []
  #current: Part | undefined
  readonly #paged = new Map<string, Pages>()
  #version = 0

  /** @param mostCharacters of all lines: a longer log is given up until the next whole */
  constructor(mostCharacters: number) {
    this.#mostCharacters = mostCharacters
  }

  /** Grows with everything that changes the text. */
  get version(): number {
    return this.#version
  }

  /**
   * Notes a document of the change stream that the copy has judged.
   *
   * @param isOfNewHistory whether the copy has left another history for it, whose entries are still refused
   * @param now epoch seconds; for a document that is taken again, when its whole came first
   */
  took(line: string, document: ChangesClaims, outcome: Outcome, isOfNewHistory: boolean, now: number): void {
    const until = hasEntries(document) ? keptUntil(document, now) : 0
    if (document.page === undefined) {
      if (outcome === 'applied') this.#add({ text: line, isRenewal: !hasEntries(document) }, until)
      return
    }
    const { history, seq, page, pages, whole } = document
    const name = JSON.stringify([history, seq, pages, whole])
    const paged = this.#paged.get(name) ?? { lines: [], until: 0 }
    paged.lines[page - 1] = line
    paged.until = Math.max(paged.until, until)
    this.#paged.set(name, paged)
    if (outcome === 'page') this.#forgetOldest()
    else this.#paged.delete(name)
    if (outcome !== 'applied') return
    if (Object.keys(paged.lines).length === pages) this.#begin(name, paged.lines, paged.until, isOfNewHistory, now)
    else if (name !== this.#current?.name) this.#giveUp() // changes of it would have nothing to stand on
  }

  /** Notes a whole feed that the copy has taken. */
  tookFeed(text: string, isOfNewHistory: boolean, now: number): void {
    this.#begin(undefined, [text], revocationExpiry(now), isOfNewHistory, now)
  }

  /** Whether the last part has this line: then the copy has taken it. */
  has(line: string): boolean {
    return this.#lines(this.#current).includes(line)
  }

  /**
   * Whether a whole has to be asked for, to begin a new log: when it is long or old, and when a document of it could
   * not be verified any more, because its key has left the JWKS.
   */
  isOutgrown(now: number, keys: { verificationPem(kid: string): string | undefined }): boolean {
    if (this.#current === undefined) return false
    const { whole, changes, since } = this.#current
    const seconds = now - since
    if (seconds < LEAST_SECONDS) return false // a server may begin with an old whole and many changes
    if (changes.length > MOST.changes || seconds > MOST.wholeSeconds) return true
    if (characters(changes.map(({ text }) => text)) > Math.max(LEAST_CHARACTERS, characters(whole))) return true
    const headers = new Set(this.#lines(this.#current).map((line) => line.slice(0, line.indexOf('.'))))
    return [...headers].some((header) => keys.verificationPem(kidOf(header)) === undefined)
  }

  /** @returns of each history in turn; undefined without a whole: then there is nothing that could be taken again */
  parts(now: number): readonly LoggedPart[] | undefined {
    if (this.#current === undefined) return undefined
    // From the beginning only: between two parts of one history it matters that the copy was elsewhere.
    const first = this.#left.findIndex(({ until }) => until > now)
    this.#left = first === -1 ? [] : this.#left.slice(first)
    return [...this.#left, this.#current].map((part) => ({ since: part.since, lines: this.#lines(part) }))
  }

  #lines(part: Part | undefined): readonly string[] {
    return part === undefined ? [] : [...part.whole, ...part.changes.map(({ text }) => text)]
  }

  #add(line: Line, until: number): void {
    if (this.#current === undefined) return
    const { changes } = this.#current
    if (line.isRenewal && changes.at(-1)?.isRenewal === true) changes.pop()
    changes.push(line)
    this.#current.until = Math.max(this.#current.until, until)
    this.#changed()
  }

  #forgetOldest(): void {
    for (const name of [...this.#paged.keys()].slice(0, -MOST_PAGED)) this.#paged.delete(name)
  }

  #begin(name: Part['name'], whole: readonly string[], until: number, isOfNewHistory: boolean, now: number): void {
    if (isOfNewHistory && this.#current !== undefined) this.#left = [...this.#left, this.#current].slice(-MOST_LEFT)
    this.#current = { name, whole, changes: [], since: now, until }
    this.#changed()
  }

  #changed(): void {
    this.#version += 1
    const all = [...this.#left, this.#current].map((part) => characters(this.#lines(part)))
    if (all.reduce((sum, one) => sum + one, 0) > this.#mostCharacters) this.#giveUp()
  }

  #giveUp(): void {
    this.#version += 1
    this.#left = []
    this.#current = undefined
  }
}

/** @param header of a document that was verified */
function kidOf(header: string): string {
  const bytes = canonicalBytes(header) ?? new Uint8Array()
  return String(parsedObject(new TextDecoder().decode(bytes))?.kid)
}

function hasEntries({ sessions, accounts, clients, tokens, after, seq }: ChangesClaims): boolean {
  return after !== seq || [sessions, accounts, clients, tokens].some((one) => Object.keys(one ?? {}).length > 0)
}

function characters(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + line.length + 1, 0)
}
