import type { Test } from 'tap'
import type { ChangesClaims } from '../../src/revocations/changes-format.ts'
import type { VerifierOptions } from '../../src/verifier/options.ts'
import { NOW, signed } from './feed-copies.ts'
import { following } from './following.ts'

const MEDIA_TYPE = 'application/revocations-seq'

/** Of history `h1`, made at the start of a test. */
export type Change = Partial<ChangesClaims> & { readonly forged?: boolean }

export async function line({ after = 0, seq = after, history = 'h1', ...claims }: Change): Promise<string> {
  const dates = { iat: NOW, exp: NOW + 60, until: NOW + 1000 }
  const header = { typ: 'revocation-changes+jwt' }
  const all = { header, history, after, seq, cursor: `${history}.${seq}`, ...dates, ...claims }
  return `${await signed(all as never)}\n`
}

export const page = (page: number, pages: number, seq: number, claims: Change = {}): Change => {
  return { page, pages, whole: 'w1', after: 0, seq, ...claims }
}

/** An answer of the change stream, signed once: it comes at once, however often it is asked for. */
export async function stream(documents: readonly Change[], headers: Record<string, string> = {}) {
  const text = (await Promise.all(documents.map(line))).join('')
  return async () => new Response(text, { headers: { 'content-type': MEDIA_TYPE, ...headers } })
}

/** An answer whose lines the test sends. */
export function slowStream() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let isCancelled = false
  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given
    },
    cancel() {
      isCancelled = true
    },
  })
  return {
    reply: new Response(body, { headers: { 'content-type': `${MEDIA_TYPE}; charset=utf-8` } }),
    send: async (document: Change) => controller?.enqueue(Buffer.from(await line(document))),
    sendText: (text: string) => controller?.enqueue(Buffer.from(text)),
    end: () => controller?.close(),
    isCancelled: () => isCancelled,
  }
}

/** A follower of an issuer that speaks the change stream. */
export async function changing(t: Test, options: Partial<VerifierOptions> = {}) {
  const follower = following(t, options)
  follower.issuer.speaksChanges = true
  follower.issuer.feed = await stream([page(1, 1, 10)])
  const questions = () => follower.asked.map(({ url }) => url.search)
  const types = () => follower.events.map(({ type }) => type).filter((type) => type !== 'keys_fetched')
  return { ...follower, questions, types }
}
