import { AppError } from '../../errors/app-error.ts'
import type { ChangesClaims } from '../../revocations/changes-format.ts'
import { FEED_TYPE } from '../../revocations/feed-format.ts'
import { pause, type StopSignal, turn } from '../../timers.ts'
import { checkHeader } from '../../tokens/credential.ts'
import type { FeedCopy } from '../feed/feed-copy.ts'
import { FeedRefused } from '../feed/feed-refused.ts'
import { MAX_BYTES } from '../feed/feed-requests.ts'
import { judgeChange } from '../feed/feed-rules.ts'
import { signedDocuments } from '../feed/signed-documents.ts'
import type { RemoteKeys } from '../keys/remote-keys.ts'
import type { Resolved } from '../options.ts'
import type { FeedLog, LoggedPart } from './feed-log.ts'
import type { StoreEntry } from './store-entry.ts'
import { readFeed, writeFeed } from './stored-feed.ts'
import { StoreFailed } from './verifier-store.ts'

interface FeedInStoreOptions {
  readonly options: Resolved
  readonly entry: StoreEntry
  readonly keys: RemoteKeys
  readonly copy: FeedCopy
  readonly log: FeedLog
  /** Ends what goes on behind the scenes. */
  readonly signal: StopSignal
}

/** From one put to the next behind the scenes, longer for a text of more than a million characters. */
const PAUSE_MS = 1000

/** The copy of the feed in a store: put there as it came, and verified like an answer of the issuer when it is read. */
export class FeedInStore {
  readonly #options: FeedInStoreOptions
  readonly #documents: ReturnType<typeof signedDocuments>
  /** What was read or put last, and the look that it told of. */
  #known: { readonly text: string; readonly at: number | undefined } | undefined
  #isTold = false
  #saved = 0
  #wanted: number | undefined
  #saving: Promise<void> | undefined
  readonly entry: StoreEntry

  constructor(given: FeedInStoreOptions) {
    this.#options = given
    this.entry = given.entry
    const { keys, options } = given
    const { issuer, skew } = options.policy
    this.#documents = signedDocuments({
      issuer,
      skew,
      now: options.now,
      verifySignature: options.platform.createSignature(),
      maxFeedLength: MAX_BYTES.feed,
      maxLineLength: MAX_BYTES.line,
      keys: {
        verificationPem: (kid) => keys.verificationPem(kid),
        seek: () => keys.hydrate(), // no search: what the store has is no reason to ask the issuer for a key
      },
    })
  }

  /**
   * Takes what the store has, as far as it is newer than the copy. What is of no use is told by `onEvent`.
   *
   * @returns epoch seconds of the look at the issuer that the copy is now as good as; undefined: of none
   * @throws StoreFailed when the store can't be asked
   */
  async load(): Promise<number | undefined> {
    const { options } = this.#options
    const { entry } = this
    const text = await entry.get()
    if (text === undefined) return undefined
    if (text === this.#known?.text) return this.#known.at
    try {
      const { at, parts } = readFeed(text, entry.origin, options.now(), options.policy.skew)
      const isAsGood = await this.#take(parts)
      this.#known = { text, at: isAsGood ? at : undefined }
      return this.#known.at
    } catch (error) {
      if (error instanceof AppError) return undefined // without keys, which is told elsewhere
      entry.report(error)
      // With another key it may be good the next time.
      if (!(error instanceof FeedRefused && error.why === 'key')) this.#known = { text, at: undefined }
      return undefined
    }
  }

  /** Puts the copy. @param at epoch seconds of the look that it is as good as, taken before the request */
  async save(at: number): Promise<void> {
    const { log, options, copy } = this.#options
    const { entry } = this
    const parts = log.parts(options.now())
    if (parts === undefined) {
      if (copy.held.seq >= 0 && !this.#isTold) entry.report(new StoreFailed('put: the feed is too long for a store'))
      this.#isTold = copy.held.seq >= 0
      return
    }
    this.#isTold = false
    const text = writeFeed(entry.origin, { at, parts })
    this.#known = { text, at }
    await entry.put(text)
  }

  /** Puts the copy behind the scenes, if it changed: now, or when the put before is over and a pause after it. */
  saveSoon(at: number): void {
    if (this.#options.log.version === this.#saved) return
    this.#wanted = at
    this.#saving ??= this.#saveInTurn().finally(() => {
      this.#saving = undefined
    })
  }

  async #saveInTurn(): Promise<void> {
    const { log, signal } = this.#options
    while (this.#wanted !== undefined && !signal.aborted) {
      const at = this.#wanted
      this.#wanted = undefined
      this.#saved = log.version
      await this.save(at)
      await pause(Math.max(PAUSE_MS, (this.#known?.text.length ?? 0) / 1000), signal)
    }
  }

  /** @returns whether the copy has now what the store has, or more. @throws FeedRefused, StoreFailed */
  async #take(parts: readonly LoggedPart[]): Promise<boolean> {
    const isFirst = this.#options.copy.held.seq < 0
    const take = (part: LoggedPart): Promise<boolean> => {
      const [line = ''] = part.lines
      return isFeed(line) ? this.#takeFeed(line, part.since) : this.#takeChanges(part, isFirst)
    }
    // The histories before are of use only to a copy that has none. One of them must not take the others with it.
    if (isFirst) for (const part of parts.slice(0, -1)) await take(part).catch((error) => this.entry.report(error))
    const current = parts.at(-1)
    return current !== undefined && take(current)
  }

  async #takeFeed(text: string, since: number): Promise<boolean> {
    const { copy, keys, log, options } = this.#options
    if (log.has(text)) return true
    const claims = await this.#documents.keptFeed(text)
    keys.withdraw(claims.keys)
    const before = copy.historyChanges
    if (copy.feed(claims, options.now()) === 'applied') log.tookFeed(text, copy.historyChanges !== before, since)
    return copy.held.seq >= claims.seq
  }

  async #takeChanges({ lines, since }: LoggedPart, isFirst: boolean): Promise<boolean> {
    const { copy, keys, log, options } = this.#options
    const answer = copy.answer()
    let last: ChangesClaims | undefined
    for (const line of lines) {
      if (log.has(line)) continue // not all of them at first: a text may have millions of lines that are none
      const document = await this.#documents.changes(line)
      keys.withdraw(document.keys ?? [])
      const { held } = copy
      const isOther = held.history !== undefined && document.history !== held.history
      if (isOther && !isFirst && document.iat <= held.iat) return false // of a verifier that has not noticed yet
      if (document.page === undefined && judgeChange(held, document) === 'gap')
        throw new StoreFailed('its copy of the feed has a gap')
      const before = copy.historyChanges
      const outcome = answer.take(document, options.now())
      log.took(line, document, outcome, copy.historyChanges !== before, since)
      last = document
      await turn()
    }
    if (last === undefined) return true
    answer.end(options.now(), Number.POSITIVE_INFINITY) // it may be over
    return copy.held.history === last.history && copy.held.seq >= last.seq
  }
}

function isFeed(line: string): boolean {
  try {
    checkHeader(line, FEED_TYPE, MAX_BYTES.feed)
    return true
  } catch {
    return false
  }
}
