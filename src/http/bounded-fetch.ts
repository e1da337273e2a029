import { type StopSignal, unreferenced } from '../timers.ts'

/** A longer timer goes off at once. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

/** The response: 200 with a text, or 304 with an empty one. */
export interface Fetched {
  readonly status: 200 | 304
  readonly text: string
  readonly headers: Headers
}

export interface BoundedFetch {
  readonly fetch: typeof fetch
  /** Milliseconds that the whole response may take. */
  readonly timeout: number
  /** Most bytes of the body. */
  readonly maxBytes: number
  readonly etag?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** Aborts the request, for example at shutdown. */
  readonly signal: StopSignal
}

/** An answer with another status than was asked for. */
export class StatusError extends Error {
  readonly status: number
  readonly headers: Headers

  constructor({ status, headers }: Response) {
    const isRedirect = (status >= 300 && status < 400 && status !== 304) || status === 0 // 0: its status is hidden
    super(isRedirect ? `status ${status}: a redirect, and none is followed` : `status ${status}`)
    this.status = status
    this.headers = headers
  }
}

/**
 * Fetches a text with a time limit for the whole response, a size limit, and no redirects: a redirect target is a
 * server that nobody configured, and whoever can redirect must not choose where we fetch from (SSRF).
 *
 * @returns 200 with the body as strict UTF-8, or 304 when `etag` still matches
 * @throws Error for any other status, a redirect, too many bytes or no answer in time; its message may be logged
 */
export function boundedFetch(url: URL, { etag, headers, maxBytes, ...bounds }: BoundedFetch): Promise<Fetched> {
  const sent = { ...headers, ...(etag === undefined ? {} : { 'if-none-match': etag }) }
  return withinBounds(url, { ...bounds, headers: sent }, async (reply) => {
    const { status, headers } = reply
    if (status !== 200 && !(status === 304 && etag !== undefined)) {
      await reply.body?.cancel()
      throw new StatusError(reply)
    }
    return { status, headers, text: status === 200 ? await readBounded(reply, maxBytes) : '' }
  })
}

/**
 * The same bounds for an answer that `read` reads by itself. It has to cancel a body that it does not read to the end,
 * and to bound its size. The time limit also holds for a `fetch` that takes no notice of its signal: what it is doing
 * then is left alone.
 *
 * @param read gets the answer, whatever its status, and a function that gives it the time limit anew
 */
export async function withinBounds<T>(
  url: URL,
  { fetch, timeout, headers, signal }: Pick<BoundedFetch, 'fetch' | 'timeout' | 'headers' | 'signal'>,
  read: (reply: Response, goesOn: () => void) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  // Not AbortSignal.any(): a signal that lives as long as the process would keep some memory for each request.
  const request = new AbortController()
  const aborted = new Promise<never>((_, reject) => {
    request.signal.addEventListener('abort', () => reject(request.signal.reason))
  })
  const abort = () => request.abort(signal.reason)
  signal.addEventListener('abort', abort)
  const late = () => request.abort(new DOMException('no response in time', 'TimeoutError'))
  const limit = () => unreferenced(setTimeout(late, Math.min(timeout, LONGEST_TIMEOUT_MS)))
  let timer = limit()
  const goesOn = () => {
    clearTimeout(timer)
    timer = limit()
  }
  const work = async () =>
    // `manual` and not `error`, which not every runtime has: a redirect is then an answer with a wrong status.
    read(await fetch(url, { headers: headers ?? {}, redirect: 'manual', signal: request.signal }), goesOn)
  try {
    return await Promise.race([work(), aborted])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

/** @throws Error when it is longer, or not UTF-8 */
export async function readBounded(reply: Response, maxBytes: number): Promise<string> {
  const utf8 = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let size = 0
  for await (const chunk of reply.body ?? []) {
    size += chunk.byteLength
    if (size > maxBytes) throw new Error(`more than ${maxBytes} bytes`) // leaving the loop cancels the rest
    text += utf8.decode(chunk, { stream: true })
  }
  return text + utf8.decode()
}

/** Why a request failed, in one line of at most 200 characters: undici hides the cause behind "fetch failed". */
export function failure(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } }
  return `${message ?? error}${cause === undefined ? '' : ` (${cause.code ?? cause.message})`}`.slice(0, 200)
}
