import { createHmac, timingSafeEqual } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { type RefreshKey, refreshKeyAt } from '../keys/refresh-keys.ts'
import { type Cursor, MARK_CHARACTERS, PROOF_CHARACTERS, readCursor, shortDigest } from './change-cursor.ts'
import type { Revocations } from './follow-revocations.ts'
import type { RevocationStore } from './revocation-store.ts'

/** So many numbers keep their mark in memory: more than the stream of changes has documents. */
const KEPT_MARKS = 1024
/** Between two looks at the store. */
const PAUSE_MS = 1000

interface Witnessed {
  readonly history: string
  readonly seq: number
  /** A short digest of the mark of `seq`. */
  readonly mark: string
}

interface WitnessParts {
  readonly store: Pick<RevocationStore, 'look' | 'beginHistory'>
  readonly revocations: Pick<Revocations, 'history' | 'seq' | 'recent' | 'catchUp'>
  /** The keys of refresh tokens: all nodes share them, and nobody else has them. Throws while none can be used. */
  readonly refreshKeys: () => readonly RefreshKey[]
  readonly now: Clock
}

/**
 * Followers remember what the store may have lost together with all servers that had read it. Their cursors name a
 * number and its mark, signed by the servers. When the store does not have them, it went back: a new history begins.
 */
export class CursorWitness {
  readonly #parts: WitnessParts
  #history = ''
  /** Kept: each answer to a follower begins with a look at its cursor. */
  #historyDigest = shortDigest('')
  /** Digests by number, of the history above. */
  readonly #marks = new Map<number, string>()
  #last = { what: '', tag: '' }
  #suspect: Witnessed | undefined
  #checking = false

  constructor(parts: WitnessParts) {
    this.#parts = parts
    this.note()
  }

  /** Call it after every look at the store: cursors of the last number have its mark. */
  note(): void {
    const { history, recent } = this.#parts.revocations
    if (history !== this.#history) {
      this.#marks.clear()
      this.#history = history
      this.#historyDigest = shortDigest(history)
    }
    const { newest } = recent
    if (newest !== undefined && !this.#marks.has(newest.seq)) this.#keep(newest.seq, shortMark(newest.mark))
  }

  /**
   * What a cursor says about the mark of its number, with a proof that a server wrote it. Empty for an unknown mark.
   */
  tagAt(seq: number): string {
    this.note()
    const mark = this.#marks.get(seq)
    const key = refreshKeyAt(this.#keys(), this.#parts.now())
    if (mark === undefined || key === undefined) return ''
    // Every answer asks for the tag of the newest number.
    const what = `${this.#history} ${seq} ${mark} ${key.id}`
    if (this.#last.what !== what) this.#last = { what, tag: mark + proof({ history: this.#history, seq, mark }, key) }
    return this.#last.tag
  }

  /**
   * Compares a cursor with the store, if it is one of this history that says something new. Nobody waits for it: when
   * the store went back, the history changes.
   */
  hear(text: string): void {
    this.note()
    const history = this.#history
    const cursor = readCursor(text)
    if (cursor === undefined || cursor.tag === '' || cursor.history !== this.#historyDigest) return
    const { seq, tag } = cursor
    const said = { history, seq, mark: tag.slice(0, MARK_CHARACTERS) }
    if (this.#marks.get(seq) === said.mark || !this.#isGenuine(said, cursor)) return
    // The highest numbers are those that may be lost.
    if (this.#suspect?.history !== history || this.#suspect.seq < seq) this.#suspect = said
    if (!this.#checking) void this.#check()
  }

  /** None while every refresh key is revoked: cursors then carry no proof, and none is believed. */
  #keys(): readonly RefreshKey[] {
    try {
      return this.#parts.refreshKeys()
    } catch {
      return []
    }
  }

  #isGenuine(said: Witnessed, { tag }: Cursor): boolean {
    const given = Buffer.from(tag.slice(MARK_CHARACTERS))
    return this.#keys().some((key) => timingSafeEqual(Buffer.from(proof(said, key)), given))
  }

  /** One at a time, with a pause: old cursors can be sent again by anybody. */
  async #check(): Promise<void> {
    this.#checking = true
    while (this.#suspect !== undefined) {
      const suspect = this.#suspect
      this.#suspect = undefined
      await this.#compare(suspect).catch(() => undefined) // a store that is away is reported by the looks
      await delay(PAUSE_MS, undefined, { ref: false })
    }
    this.#checking = false
  }

  async #compare({ history, seq, mark }: Witnessed): Promise<void> {
    const { store, revocations } = this.#parts
    await revocations.catchUp() // another node may have written it a moment ago
    const look = await store.look({ after: revocations.seq, known: seq, limit: 1 })
    if (look.history !== history || revocations.history !== history) return
    const stored = look.mark === undefined ? undefined : shortMark(look.mark)
    if (stored === mark) return this.#keep(seq, mark)
    const isForgotten = seq <= look.head && (look.oldest === undefined || look.oldest > seq)
    if (isForgotten) return
    await store.beginHistory(history, { head: seq, newest: { seq, mark } }) // no mark is equal to a digest
    await revocations.catchUp()
  }

  #keep(seq: number, mark: string): void {
    this.#marks.set(seq, mark)
    const [oldest] = this.#marks.keys()
    if (this.#marks.size > KEPT_MARKS && oldest !== undefined) this.#marks.delete(oldest)
  }
}

const shortMark = (mark: string) => shortDigest(mark).slice(0, MARK_CHARACTERS)

function proof({ history, seq, mark }: Witnessed, { secret }: RefreshKey): string {
  const mac = createHmac('sha256', secret).update(`signet revocation cursor ${history} ${seq} ${mark}`)
  return mac.digest('base64url').slice(0, PROOF_CHARACTERS)
}
