import type { LoggedPart } from './feed-log.ts'
import { type Origin, readStored, storedInstant, writeStored } from './stored-text.ts'
import { StoreFailed } from './verifier-store.ts'

/** More than the histories that a log keeps. */
const MOST_PARTS = 64

/** A copy of the feed as it came. */
export interface StoredFeed {
  /** Epoch seconds of the last look at the issuer that brought an answer; taken before the request. */
  readonly at: number
  /** Of each history in turn; the last one is the current. Every line is signed. */
  readonly parts: readonly LoggedPart[]
}

/** A line of JSON, and then the lines of each part, with an empty line after each. */
export function writeFeed(origin: Origin, { at, parts }: StoredFeed): string {
  const body = parts.map(({ lines }) => `${lines.join('\n')}\n\n`).join('')
  return writeStored(origin, { at, since: parts.map(({ since }) => since).join(' ') }, body)
}

/**
 * What `writeFeed` wrote. Nothing of it is verified yet.
 *
 * @param now epoch seconds
 * @param skew seconds that the clocks of two verifiers may differ
 * @throws StoreFailed
 */
export function readFeed(text: string, origin: Origin, now: number, skew: number): StoredFeed {
  const { head, body } = readStored(text, origin)
  const at = storedInstant(head.at, now, skew)
  const since = String(head.since)
    .split(' ')
    .map((one) => storedInstant(Number(one), now, skew))
  const texts = body.split('\n\n')
  if (texts.pop() !== '' || texts.length !== since.length || since.length > MOST_PARTS)
    throw new StoreFailed('its copy of the feed is cut')
  return { at, parts: texts.map((lines, i) => ({ since: since[i] ?? 0, lines: lines.split('\n') })) }
}
