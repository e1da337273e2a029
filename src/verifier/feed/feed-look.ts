import { type StopSignal, turn } from '../../timers.ts'
import type { RemoteKeys } from '../keys/remote-keys.ts'
import type { Resolved } from '../options.ts'
import type { FeedNotes } from '../store/feed-log.ts'
import type { FeedCopy } from './feed-copy.ts'
import { FeedRefused } from './feed-refused.ts'
import { askForChanges, askForFeed, type FeedText, MAX_BYTES } from './feed-requests.ts'
import { retryAfterMs } from './retry-after.ts'
import { signedDocuments } from './signed-documents.ts'

/** A server that does not know the change stream may have been replaced by one that does. */
const ASK_AGAIN_MS = 10 * 60_000
/** More than the pieces that a server keeps: they may all be known here. */
const MAX_VAIN_DOCUMENTS = 512

interface Look {
  readonly options: Resolved
  readonly uri: URL
  readonly keys: RemoteKeys
  readonly copy: FeedCopy
  /** Where what is applied is noted, for a store or a mirror. */
  readonly log?: FeedNotes | undefined
  readonly signal: StopSignal
  readonly monotonic: () => number
}

/** Asks the issuer what is revoked, and puts the answer into the copy. */
export class FeedLook {
  readonly #look: Look
  readonly #documents: ReturnType<typeof signedDocuments>
  /** Of the whole feed, where the change stream can't be had. */
  #etag: string | undefined
  /** Milliseconds of the monotonic clock: from then on the change stream is asked for. */
  #changesFrom = Number.NEGATIVE_INFINITY
  #retryAfter = 0
  #startsAnew = 0
  /** Epoch seconds of the last look. */
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(look: Look) {
    this.#look = look
    const { keys } = look
    const { policy, now } = look.options
    const { issuer, skew } = policy
    const verifySignature = look.options.platform.createSignature()
    const lengths = { maxFeedLength: MAX_BYTES.feed, maxLineLength: MAX_BYTES.line }
    this.#documents = signedDocuments({ issuer, skew, now, keys, verifySignature, ...lengths })
  }

  /** Whether there is a copy that an answer can go on from: else there is nothing to wait for. */
  hasBegun(): boolean {
    return this.#speaksChanges() ? this.#look.copy.held.cursor !== undefined : this.#etag !== undefined
  }

  /**
   * How many answers in a row led nowhere: a gap, or everything anew. The next request has to wait the longer. The
   * first whole does not count.
   */
  get startsAnew(): number {
    return this.#startsAnew
  }

  /** Milliseconds that the last answer asked to wait. */
  get retryAfter(): number {
    return this.#retryAfter
  }

  /** The next answer tells whether the issuer is back, and what it speaks. */
  failed(): void {
    this.#etag = undefined
    this.#changesFrom = Number.NEGATIVE_INFINITY
  }

  /**
   * One look. @param wait seconds of a long poll; 0 for an answer at once
   * @returns whether everything has to be asked for anew
   * @throws Error, FeedRefused; what was applied stays
   */
  async look(wait: number): Promise<'done' | 'gap'> {
    this.#retryAfter = 0
    const { copy, log, keys, options } = this.#look
    if (this.#wasSetBack() || log?.isOutgrown(options.now(), keys)) copy.startAnew()
    if (!this.#speaksChanges()) return this.#lookAtFeed(wait)
    const { cursor } = copy.held
    const answer = await askForChanges(this.#asking(), cursor, cursor === undefined ? 0 : wait, (lines, goesOn) =>
      this.#readChanges(lines, goesOn),
    )
    if (answer !== undefined && 'read' in answer) return answer.read
    this.#changesFrom = this.#look.monotonic() + ASK_AGAIN_MS
    if (answer === undefined) return this.#lookAtFeed(this.#etag === undefined ? 0 : wait)
    await this.#takeFeed(answer.feed)
    return 'done'
  }

  /** By a clock that was ahead, entries were forgotten that are needed: who started with it had no other measure. */
  #wasSetBack(): boolean {
    const { policy, now } = this.#look.options
    const [before, instant] = [this.#lookedAt, now()]
    this.#lookedAt = instant
    return instant < before - policy.skew
  }

  #speaksChanges(): boolean {
    return this.#look.monotonic() >= this.#changesFrom
  }

  #asking() {
    const { options, uri, signal } = this.#look
    const onReply = (reply: Response) => {
      this.#retryAfter = retryAfterMs(reply, options.now(), Math.random())
    }
    return { options, uri, signal, onReply }
  }

  async #lookAtFeed(wait: number): Promise<'done'> {
    const feed = await askForFeed(this.#asking(), this.#etag, wait)
    if (feed !== undefined) await this.#takeFeed(feed)
    return 'done'
  }

  async #takeFeed({ text, etag }: FeedText): Promise<void> {
    const { copy, log, keys, signal, options } = this.#look
    const claims = await this.#documents.feed(text)
    if (signal.aborted) return
    this.#etag = etag
    keys.withdraw(claims.keys) // for good, so an older copy has nothing to take back
    const before = copy.historyChanges
    if (copy.feed(claims, options.now()) !== 'applied') return
    log?.tookFeed(text, copy.historyChanges !== before, options.now())
    this.#applied(claims.keys.length, before)
  }

  /** Between two documents others have their turn: a whole may have a million entries. */
  async #readChanges(lines: AsyncIterable<string>, goesOn: () => void): Promise<'done' | 'gap'> {
    const { copy, log, keys, signal, options } = this.#look
    const answer = copy.answer()
    const { cursor } = copy.held
    const before = copy.historyChanges
    let kids: readonly string[] = []
    let isApplied = false
    let isWhole = false
    let isGap = false
    let vain = 0
    try {
      for await (const line of lines) {
        const document = await this.#documents.changes(line)
        if (signal.aborted) return 'done'
        kids = document.keys ?? []
        keys.withdraw(kids)
        const { seq } = copy.held
        const { historyChanges } = copy
        const outcome = answer.take(document, options.now())
        log?.took(line, document, outcome, copy.historyChanges !== historyChanges, options.now())
        isWhole ||= document.pages !== undefined
        isApplied ||= outcome === 'applied'
        isGap = outcome === 'gap'
        if (isGap) break // which cancels the rest
        if (document.pages !== undefined || copy.held.seq > seq) goesOn()
        else countVain(++vain)
        await turn()
      }
      if (!isGap) answer.end(options.now(), options.policy.skew)
    } finally {
      if (isApplied && !signal.aborted) this.#applied(kids.length, before)
    }
    const isFirstWhole = isWhole && isApplied && cursor === undefined && this.#startsAnew === 0
    this.#startsAnew = isGap || (isWhole && !isFirstWhole) ? this.#startsAnew + 1 : 0
    return isGap ? 'gap' : 'done'
  }

  /** @param historyChanges of the copy before */
  #applied(keys: number, historyChanges: number): void {
    const { copy, options } = this.#look
    const told = { seq: copy.held.seq, entries: copy.size + keys }
    if (copy.historyChanges !== historyChanges) options.onEvent({ type: 'issuer_went_back', ...told })
    options.onEvent({ type: 'revocations_applied', ...told })
  }
}

/** Renewals can be repeated by anybody, without end: they neither give an answer more time nor unlimited work. */
function countVain(documents: number): void {
  if (documents > MAX_VAIN_DOCUMENTS)
    throw new FeedRefused('size', `more than ${MAX_VAIN_DOCUMENTS} documents that bring nothing`)
}
