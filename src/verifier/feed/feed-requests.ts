import { readBounded, StatusError, withinBounds } from '../../http/bounded-fetch.ts'
import { CHANGES_MEDIA_TYPE } from '../../revocations/changes-format.ts'
import type { StopSignal } from '../../timers.ts'
import { withQuery } from '../keys/jwks-reply.ts'
import type { Resolved } from '../options.ts'
import { readLines } from './read-lines.ts'

/** Most bytes of a whole feed, of one line of the change stream, and of an answer of it: three million entries. */
export const MAX_BYTES = { feed: 64 * 1024 * 1024, line: 1024 * 1024, changes: 128 * 1024 * 1024 }
/** Statuses below 500 that say something else than "I do not know this question". */
const OF_THE_MOMENT = [408, 425, 429]

export interface FeedText {
  readonly text: string
  readonly etag: string | undefined
}

interface Asking {
  readonly options: Pick<Resolved, 'fetch' | 'timeout'>
  readonly uri: URL
  readonly signal: StopSignal
  /** Gets status and headers of every answer. */
  readonly onReply: (reply: Response) => void
}

/**
 * Asks for what came after a cursor. The time limit begins anew when `read` says so.
 *
 * @param after a cursor; undefined for everything
 * @param wait seconds of a long poll; 0 for an answer at once
 * @param read reads the lines one by one; it gets a function that gives the answer its time limit anew
 * @returns what `read` returns. From a server that does not know the question: the whole feed if that is what it
 *   answered, else undefined
 * @throws Error as boundedFetch
 */
export function askForChanges<T>(
  { options, uri, signal, onReply }: Asking,
  after: string | undefined,
  wait: number,
  read: (lines: AsyncIterable<string>, goesOn: () => void) => Promise<T>,
): Promise<{ readonly read: T } | { readonly feed: FeedText } | undefined> {
  const question = withQuery(uri, 'after', after ?? '0')
  const url = wait === 0 ? question : withQuery(question, 'wait', String(wait))
  const bounds = { fetch: options.fetch, timeout: options.timeout + wait * 1000, signal }
  return withinBounds(url, bounds, async (reply, goesOn) => {
    onReply(reply)
    const { status, headers } = reply
    if (status === 200 && mediaType(headers) === CHANGES_MEDIA_TYPE) {
      const lines = readLines(reply.body ?? noBody(), { line: MAX_BYTES.line, all: MAX_BYTES.changes })
      return { read: await read(lines, goesOn) }
    }
    if (status === 200)
      return { feed: { text: await readBounded(reply, MAX_BYTES.feed), etag: headers.get('etag') ?? undefined } }
    await reply.body?.cancel()
    if (status >= 400 && status < 500 && !OF_THE_MOMENT.includes(status)) return undefined
    throw new StatusError(reply)
  })
}

/**
 * Asks for the whole feed.
 *
 * @returns undefined when it is still that of `etag`
 * @throws Error as boundedFetch
 */
export function askForFeed(
  { options, uri, signal, onReply }: Asking,
  etag: string | undefined,
  wait: number,
): Promise<FeedText | undefined> {
  const url = wait === 0 ? uri : withQuery(uri, 'wait', String(wait))
  const headers = etag === undefined ? {} : { 'if-none-match': etag }
  const bounds = { fetch: options.fetch, timeout: options.timeout + wait * 1000, signal, headers }
  return withinBounds(url, bounds, async (reply) => {
    onReply(reply)
    if (reply.status === 304 && etag !== undefined) return undefined
    if (reply.status === 200)
      return { text: await readBounded(reply, MAX_BYTES.feed), etag: reply.headers.get('etag') ?? undefined }
    await reply.body?.cancel()
    throw new StatusError(reply)
  })
}

function mediaType(headers: Headers): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

async function* noBody(): AsyncGenerator<Uint8Array> {}
