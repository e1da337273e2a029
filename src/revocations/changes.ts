import type { LiveKeyring } from '../keys/live-keyring.ts'
import { type Cursor, oneMoreRenewal, readCursor, shortDigest, writeCursor } from './change-cursor.ts'
import { ChangeRing, type Piece } from './change-ring.ts'
import { MAX_PAGE_ENTRIES, makeWhole, type Whole } from './change-whole.ts'
import type { CursorWitness } from './cursor-witness.ts'
import type { Revocations } from './follow-revocations.ts'
import { KeptWhole } from './kept-whole.ts'
import { type Common, entryClaims, type SignedChanges, type Signing, signChanges } from './sign-changes.ts'

/** What documents and entries take on the way, about, in bytes: enough to see which of two answers is shorter. */
const ABOUT_BYTES = { document: 900, entry: 36 }

export interface ChangesOptions {
  readonly issuer: string
  /** Seconds for which a copy counts as fresh. */
  readonly ttl: number
  readonly keyring: Pick<LiveKeyring, 'signingKey' | 'revokedKids' | 'verificationPem'>
  readonly revocations: Pick<Revocations, 'seq' | 'history' | 'size' | 'entries' | 'recent'>
  /** What cursors say about the mark of their number. Default: nothing. */
  readonly witness?: Pick<CursorWitness, 'tagAt'> | undefined
  /** When the set was last complete: `issued-at.ts`. */
  readonly issuedAt: () => number
  /** Milliseconds on a clock that can't be set. */
  readonly monotonic: () => number
}

/** One answer: a whole, if there is one, and the lines after it. */
export interface ChangesAnswer {
  readonly whole?: Whole
  readonly lines: readonly Buffer[]
}

/**
 * The stream of changes: which documents bring a follower from its cursor to what is known here. Each document is
 * signed once, however many follow and from wherever.
 *
 * What is read from the store is not published before `take`: until then it waits to become one piece with what comes
 * after it.
 */
export class Changes {
  readonly #options: ChangesOptions
  readonly #ring = new ChangeRing()
  readonly #whole: KeptWhole
  #history: string
  #historyDigest: string
  #freshAt: number
  /** `iat` of the last document of another history: followers take no whole for newer that is not younger. */
  #ofOldHistory = -1
  /** The last one of each number of renewals in the cursor. */
  readonly #renewals = new Map<number, Signing>()
  #keys = { kids: '', digest: shortDigest('') }

  constructor(options: ChangesOptions) {
    const { revocations, issuedAt, monotonic } = options
    const { seq, history, recent } = revocations
    this.#options = options
    this.#history = history
    this.#historyDigest = shortDigest(history)
    this.#freshAt = issuedAt()
    this.#ring.begin(recent.since(recent.floor) ?? [], { floor: recent.floor, seq, iat: this.#freshAt })
    this.#whole = new KeptWhole({ make: () => this.#makeWhole(), isGood: (whole) => this.#isGood(whole), monotonic })
  }

  /** True when the set has more than what is published. */
  get hasMore(): boolean {
    const { seq, history } = this.#options.revocations
    return seq !== this.#ring.head || history !== this.#history
  }

  /** Call it after every look at the store: when nothing is missing, what is published is as fresh as that look. */
  looked(): void {
    if (!this.hasMore) this.#freshAt = this.#options.issuedAt()
    this.#whole.forgetOld()
  }

  /**
   * Publishes what the set has.
   *
   * @returns true when nobody can go on from what was published before: everybody needs a whole
   */
  take(): boolean {
    const { revocations, issuedAt } = this.#options
    const { seq, history } = revocations
    const before = this.#freshAt
    this.#freshAt = issuedAt()
    if (history !== this.#history) {
      this.#ofOldHistory = before
      this.#history = history
      this.#historyDigest = shortDigest(history)
      this.#ring.reset(seq)
      this.#whole.reset()
      return true
    }
    if (seq !== this.#ring.head) {
      const rows = seq > this.#ring.head ? revocations.recent.since(this.#ring.head) : undefined
      if (rows === undefined) this.#ring.reset(seq)
      else this.#ring.push(rows, { seq, iat: this.#freshAt })
      return rows === undefined
    }
    return false
  }

  /** The cursor of who has everything that is published. */
  cursor(): string {
    return this.#cursorAt(this.#ring.head)
  }

  /** Whether there is something for who asks with this cursor. A cursor of a node that is ahead has nothing to get. */
  isBehind(text: string): boolean {
    const cursor = this.#usable(text)
    return cursor === undefined || cursor.seq < this.#ring.head || cursor.keys !== this.#keysDigest()
  }

  /**
   * The documents for who asks with this cursor, in order. The last one is fresh.
   *
   * @throws AppError `signing_unavailable`
   */
  async answer(text: string): Promise<ChangesAnswer> {
    this.#options.keyring.signingKey() // without a key that signs nothing is answered, like everywhere
    const cursor = this.#usable(text)
    const pieces = cursor && this.#ring.after(cursor.seq)
    if (cursor !== undefined && pieces !== undefined && this.#costs(pieces) <= this.#costOfWhole()) {
      const isNew = pieces.length > 0 || cursor.keys !== this.#keysDigest()
      return { lines: await Promise.all(this.#upToDate(pieces, { renewals: isNew ? 0 : oneMoreRenewal(cursor) })) }
    }
    const whole = await this.#whole.current()
    const rest = whole.history === this.#history ? this.#ring.after(whole.seq) : undefined
    // Undefined: so much was revoked while it was made that the next request gets another whole.
    if (rest === undefined) return { whole, lines: [] }
    return { whole, lines: await Promise.all(this.#upToDate(rest, { before: whole.pages.at(-1) })) }
  }

  #usable(text: string): Cursor | undefined {
    const cursor = readCursor(text)
    return cursor?.history === this.#historyDigest ? cursor : undefined
  }

  #keysDigest(): string {
    const kids = this.#options.keyring.revokedKids().join(' ')
    if (kids !== this.#keys.kids) this.#keys = { kids, digest: shortDigest(kids) }
    return this.#keys.digest
  }

  #cursorAt(seq: number, renewals = 0): string {
    const tag = this.#options.witness?.tagAt(seq) ?? ''
    return writeCursor({ history: this.#historyDigest, seq, keys: this.#keysDigest(), tag, renewals })
  }

  #common(seq: number, renewals = 0): Common {
    const { issuer, ttl, keyring } = this.#options
    return { issuer, ttl, history: this.#history, keys: keyring.revokedKids(), cursor: this.#cursorAt(seq, renewals) }
  }

  #costs(pieces: readonly Piece[]): number {
    const rows = pieces.reduce((sum, piece) => sum + piece.rows.length, 0)
    return pieces.length * ABOUT_BYTES.document + rows * ABOUT_BYTES.entry
  }

  #costOfWhole(): number {
    const { size } = this.#options.revocations
    return Math.max(1, Math.ceil(size / MAX_PAGE_ENTRIES)) * ABOUT_BYTES.document + size * ABOUT_BYTES.entry
  }

  /** False for a text that followers refuse: its key was revoked, or is not published any more. */
  #isAccepted({ kid }: { kid: string }): boolean {
    return this.#options.keyring.verificationPem(kid) !== undefined
  }

  /**
   * The lines of the pieces, and of one document more when the last of them is not fresh, or does not name every
   * revoked key. Nothing is awaited in here: a piece that is published meanwhile would be missing before the last line.
   *
   * @param options.before the document before these pieces
   * @param options.renewals of the cursor
   */
  #upToDate(
    pieces: readonly Piece[],
    { before, renewals = 0 }: { before?: Omit<SignedChanges, 'line'> | undefined; renewals?: number },
  ): Promise<Buffer>[] {
    const signings = pieces.map((piece) => this.#signed(piece))
    const last = signings.at(-1) ?? before
    const isFresh = last?.cursor === this.cursor() && last.iat === this.#freshAt
    return [...signings, ...(isFresh ? [] : [this.#renewal(renewals)])].map(({ line }) => line)
  }

  #signed(piece: Piece): Signing {
    const { after, seq, iat, rows } = piece
    if (piece.signing === undefined || !this.#isAccepted(piece.signing)) {
      const part = { after, seq, iat, ...entryClaims(rows) }
      piece.signing = signChanges(part, this.#common(seq), this.#options.keyring)
    }
    return piece.signing
  }

  #renewal(renewals: number): Signing {
    const seq = this.#ring.head
    const common = this.#common(seq, renewals)
    const known = this.#renewals.get(renewals)
    if (known?.cursor === common.cursor && known.iat === this.#freshAt && this.#isAccepted(known)) return known
    const signing = signChanges({ after: seq, seq, iat: this.#freshAt }, common, this.#options.keyring)
    this.#renewals.set(renewals, signing)
    return signing
  }

  /** The pieces reach back to it and are not longer than it, and followers accept its signatures. */
  #isGood({ history, seq, iat, pages }: Whole): boolean {
    const rest = history === this.#history ? this.#ring.after(seq) : undefined
    if (iat <= this.#ofOldHistory) return false
    if (rest === undefined || this.#costs(rest) > this.#costOfWhole()) return false
    return pages.length > 0 && pages.every((page) => this.#isAccepted(page))
  }

  #makeWhole(): Promise<Whole> {
    const { revocations, keyring } = this.#options
    const state = { history: this.#history, seq: this.#ring.head, iat: this.#freshAt }
    const common = this.#common(state.seq)
    return makeWhole(revocations.entries(state.iat), state, (page) => signChanges(page, common, keyring))
  }
}
