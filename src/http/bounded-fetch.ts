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
  readonly signal: AbortSignal
}

/**
 * Fetches a text with a time limit for the whole response, a size limit, and no redirects: a redirect target is a
 * server that nobody configured, and whoever can redirect must not choose where we fetch from (SSRF).
 *
 * @returns 200 with the body as strict UTF-8, or 304 when `etag` still matches
 * @throws Error for any other status, a redirect, too many bytes or no answer in time; its message may be logged
 */
export async function boundedFetch(url: URL, options: BoundedFetch): Promise<Fetched> {
  const { timeout, signal } = options
  signal.throwIfAborted()
  // Not AbortSignal.any(): a signal that lives as long as the process would keep some memory for each request.
  const request = new AbortController()
  const abort = () => request.abort(signal.reason)
  signal.addEventListener('abort', abort)
  const late = () => request.abort(new DOMException('no response in time', 'TimeoutError'))
  const timer = setTimeout(late, Math.min(timeout, LONGEST_TIMEOUT_MS)).unref()
  try {
    return await fetchText(url, options, request.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

async function fetchText(
  url: URL,
  { fetch, headers: extra, etag, maxBytes }: BoundedFetch,
  signal: AbortSignal,
): Promise<Fetched> {
  const reply = await fetch(url, {
    headers: { ...extra, ...(etag === undefined ? {} : { 'if-none-match': etag }) },
    redirect: 'error',
    signal,
  })
  const { status, headers } = reply
  if (status !== 200 && !(status === 304 && etag !== undefined)) {
    await reply.body?.cancel()
    throw new Error(`status ${status}`)
  }
  return { status, headers, text: status === 200 ? await readBounded(reply, maxBytes) : '' }
}

async function readBounded(reply: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of reply.body ?? []) {
    size += chunk.byteLength
    if (size > maxBytes) throw new Error(`more than ${maxBytes} bytes`) // leaving the loop cancels the rest
    chunks.push(chunk)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
}

/** Why a request failed, in one line of at most 200 characters: undici hides the cause behind "fetch failed". */
export function failure(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } }
  return `${message ?? error}${cause === undefined ? '' : ` (${cause.code ?? cause.message})`}`.slice(0, 200)
}
