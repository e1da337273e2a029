/**
 * What the gate serves with MIRROR=1: keys, metadata and revocation feed of its issuer, from its own copies and byte
 * for byte. On a port of its own, where no token is judged: a gateway that asks the gate with the path of its client
 * would take a 200 from here for "let it pass".
 */

import { randomInt } from 'node:crypto'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { monotonicClock, systemClock } from '../../clock.ts'
import { matchesEtag } from '../../http/etag.ts'
import { Stopping } from '../../http/stopping.ts'
import { CHANGES_MEDIA_TYPE } from '../../revocations/changes-format.ts'
import type { HangUp } from '../../revocations/feed-waits.ts'
import { boundedKid } from '../keys/kid-search.ts'
import type { MirrorHooks } from '../mirror-hooks.ts'
import { type MirroredText, MirrorKeys, MirrorMetadata } from './mirror-documents.ts'
import { MirrorFeed } from './mirror-feed.ts'
import { networkOfAddress } from './network-of-address.ts'

/** What the server accepts in a question: see the route of the feed. */
const CURSOR = /^[A-Za-z0-9._-]{1,100}$/
const WAIT = /^(0|[1-9]|[12][0-9]|30)$/
/**
 * Seconds, for those who find no place to wait. By chance: those who are turned away together must not come back
 * together.
 */
const RETRY_AFTER = { from: 2, to: 10 }

interface MirrorOptions {
  readonly issuer: string
  /** Told why the metadata could not be fetched. */
  readonly onFailure: (reason: string) => void
  readonly fetch?: typeof fetch
  readonly mostWaiters?: number
  /** Epoch seconds. */
  readonly now?: () => number
  /** Milliseconds that only go forward. */
  readonly monotonic?: () => number
}

export interface Mirror {
  readonly listener: RequestListener
  /** For the verifier whose copies are served. */
  readonly mirrored: MirrorHooks
  /** Answers those who wait for what the verifier has taken. To be called when it has taken an answer. */
  tell(): void
  /** Followers that wait now. */
  readonly waiters: number
  /** Lets everybody go who waits. */
  close(): void
}

export function createMirror(options: MirrorOptions): Mirror {
  const { issuer, onFailure, mostWaiters, now = systemClock, monotonic = monotonicClock } = options
  const stopping = new Stopping()
  const keys = new MirrorKeys(monotonic)
  const feed = new MirrorFeed(now, mostWaiters)
  const given = { fetch: options.fetch ?? fetch, monotonic, signal: stopping.signal, onFailure }
  const metadata = new MirrorMetadata({ issuer, ...given })
  const answer = async (request: IncomingMessage, reply: ServerResponse) => {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://mirror')
    const sendsText = (text: MirroredText | undefined, type: string) =>
      sendText(request, reply, text, { type, now: monotonic() })
    if (pathname === '/.well-known/jwks.json')
      return sendsText(await keys.text(kidOf(query)), 'application/jwk-set+json')
    if (pathname === '/.well-known/oauth-authorization-server')
      return sendsText(await metadata.text(), 'application/json; charset=utf-8')
    if (pathname === '/.well-known/revocations' && query.has('after')) return sendChanges(request, reply, query, feed)
    return refuse(reply, 404)
  }
  return {
    mirrored: { feed, keysCame: (copy) => keys.keysCame(copy), begin: (remote) => keys.begin(remote) },
    listener(request, reply) {
      if (request.method === 'OPTIONS') return preflight(reply)
      if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(reply, 405, { allow: 'GET, HEAD' })
      answer(request, reply).catch(() => (reply.headersSent ? reply.destroy() : refuse(reply, 400)))
    },
    tell: () => feed.tell(),
    get waiters() {
      return feed.waiters
    },
    close() {
      stopping.abort()
      feed.close()
    },
  }
}

function kidOf(query: URLSearchParams): string | undefined {
  const kid = query.get('kid')
  return kid === null || kid === '' ? undefined : boundedKid(kid)
}

/** @param now milliseconds of the monotonic clock */
function sendText(
  { headers, method }: IncomingMessage,
  reply: ServerResponse,
  kept: MirroredText | undefined,
  { type, now }: { type: string; now: number },
) {
  if (kept === undefined) return refuse(reply, 503, { 'retry-after': '1' })
  const { text, etag, madeAt, lifetime } = kept
  reply.setHeader('cache-control', `public, max-age=${lifetime / 1000}`)
  reply.setHeader('age', Math.max(0, Math.ceil((now - madeAt) / 1000)))
  reply.setHeader('access-control-allow-origin', '*')
  reply.setHeader('access-control-expose-headers', 'etag')
  if (etag !== undefined) reply.setHeader('etag', etag)
  if (etag !== undefined && matchesEtag(headers['if-none-match'], etag)) return reply.writeHead(304).end()
  reply.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(text) })
  return reply.end(method === 'HEAD' ? undefined : text)
}

async function sendChanges(
  request: IncomingMessage,
  reply: ServerResponse,
  query: URLSearchParams,
  feed: MirrorFeed,
): Promise<void> {
  const after = query.getAll('after')
  const wait = query.has('wait') ? query.getAll('wait') : ['0']
  const isKnown = [...query.keys()].every((name) => name === 'after' || name === 'wait')
  const isOne = after.length === 1 && wait.length === 1
  if (!isKnown || !isOne || !CURSOR.test(after[0] ?? '') || !WAIT.test(wait[0] ?? '')) return refuse(reply, 400)
  const milliseconds = request.method === 'HEAD' ? 0 : Number(wait[0]) * 1000
  const network = networkOfAddress(request.socket.remoteAddress)
  const changes = await feed.changes(after[0] ?? '', milliseconds, hangUpOf(reply), network)
  if (feed.isClosed) reply.setHeader('connection', 'close') // which would else outlive the server
  if (changes === undefined) return refuse(reply, 503, { 'retry-after': '1' })
  reply.writeHead(200, {
    'cache-control': 'public, max-age=1',
    'access-control-allow-origin': '*',
    'access-control-expose-headers': 'retry-after',
    'content-type': CHANGES_MEDIA_TYPE,
    'content-length': changes.body.length,
    ...(changes.isTurnedAway && { 'retry-after': retryAfter() }),
  })
  reply.end(request.method === 'HEAD' ? undefined : changes.body)
}

/** Made for each wait: the listener ends with the reply. */
function hangUpOf(reply: ServerResponse): HangUp {
  return {
    get aborted() {
      return reply.destroyed
    },
    addEventListener: (_type, listener) => void reply.once('close', listener),
    removeEventListener: (_type, listener) => void reply.removeListener('close', listener),
  }
}

/** The preflight of pages of any origin (Fetch standard): these documents are for everybody. */
function preflight(reply: ServerResponse): void {
  const headers = {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, HEAD',
    'access-control-allow-headers': '*, authorization',
    'access-control-max-age': '600',
  }
  reply.writeHead(204, headers).end()
}

function refuse(reply: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  const common = { 'cache-control': 'no-store', 'access-control-allow-origin': '*', 'content-length': '0' }
  reply.writeHead(status, { ...common, ...headers }).end()
}

const retryAfter = () => String(randomInt(RETRY_AFTER.from, RETRY_AFTER.to + 1))
