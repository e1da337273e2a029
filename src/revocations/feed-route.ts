import { randomInt } from 'node:crypto'
import { Readable } from 'node:stream'
import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { ANY_ORIGIN } from '../http/any-origin.ts'
import type { App } from '../http/app-type.ts'
import { matchesEtag } from '../http/etag.ts'
import { networkOfRequest } from '../http/request-source.ts'
import { linesOf } from './change-whole.ts'
import { CHANGES_MEDIA_TYPE } from './changes-format.ts'
import { ChangesClaims, CURSOR_PATTERN } from './changes-schema.ts'
import type { ChangesReply, Feed } from './feed.ts'
import { FeedClaims } from './feed-schema.ts'
import type { HangUp } from './feed-waits.ts'

/** The longest wait of a long poll: below the idle time-outs of proxies. */
const MAX_WAIT_SECONDS = 30
/** When those come back who found no place to wait: not all at once. */
const RETRY_AFTER_SECONDS = { from: 2, to: 10 }
/** A longer answer is sent page by page, from the memory that all of them share. */
const MAX_COPIED_BYTES = 256 * 1024

const Query = Type.Object(
  {
    wait: Type.Optional(
      Type.String({
        pattern: '^(0|[1-9]|[12][0-9]|30)$',
        description: `With \`If-None-Match\` or \`after\`: seconds to wait for something newer, 0..${MAX_WAIT_SECONDS}`,
      }),
    ),
    after: Type.Optional(
      Type.String({
        pattern: CURSOR_PATTERN,
        description: 'Asks for changes: the `cursor` of the last document that you applied, or `0` if you have none',
      }),
    ),
  },
  { additionalProperties: false },
)

const SCHEMA = {
  tags: ['Integrators'],
  summary: 'Revocation feed, signed',
  description:
    'Without `after` a compact JWS, `typ: revocations+jwt`, signed by a key of the JWKS. ' +
    'Its payload is described by `FeedClaims`. ' +
    'Revalidate with `If-None-Match`; with `wait` the answer comes when there is something newer. ' +
    'With `after` what came after that cursor: compact JWS of `typ: revocation-changes+jwt`, each ended by a line ' +
    'feed, whose payloads are described by `ChangesClaims`.',
  querystring: Query,
  response: {
    200: {
      description: 'The feed: a compact JWS of FeedClaims; with `after`: lines, each a compact JWS of ChangesClaims',
      content: {
        'application/revocations+jwt': { schema: Type.Unsafe<string>({ ...FeedClaims, $id: 'FeedClaims' }) },
        [CHANGES_MEDIA_TYPE]: { schema: Type.Unsafe<string>({ ...ChangesClaims, $id: 'ChangesClaims' }) },
      },
    },
    304: { description: 'The feed has not changed', type: 'null' },
  },
}

/** `GET /.well-known/revocations`: the signed revocation feed, sent from prepared buffers, for any origin. */
export function feedRoute(app: App, { feed }: { feed: Feed }): void {
  app.addHook('preClose', (done) => {
    feed.close()
    done()
  })
  app.get(
    '/.well-known/revocations',
    { config: { auth: 'public', cors: false, errors: ['signing_unavailable'] }, schema: SCHEMA },
    async (request, reply) => {
      const client = hangUpOf(reply)
      const { after, wait: seconds = '0' } = request.query
      const wait = Number(seconds) * 1000
      if (after !== undefined) {
        const changes = await feed.changes(after, wait, client, networkOfRequest(request))
        return sendChanges(reply, changes, request.method === 'HEAD')
      }
      const held = request.headers['if-none-match']
      let document = await feed.current()
      let hasPlace = true
      if (wait > 0 && matchesEtag(held, document.etag)) {
        hasPlace = await feed.newerThan(document.etag, wait, client, networkOfRequest(request))
        document = await feed.current()
      }
      reply
        .header('cache-control', 'public, no-cache') // caches keep it, and revalidate it each time
        .header('etag', document.etag)
        .headers(ANY_ORIGIN)
        .type('application/revocations+jwt')
      if (!matchesEtag(held, document.etag)) return reply.send(document.body as never)
      if (!hasPlace) reply.header('retry-after', retryAfter())
      return reply.code(304).send(null as never)
    },
  )
}

function hangUpOf({ raw }: FastifyReply): HangUp {
  return {
    get aborted() {
      return raw.destroyed
    },
    addEventListener: (_type, listener) => void raw.once('close', listener),
    removeEventListener: (_type, listener) => void raw.removeListener('close', listener),
  }
}

/** The question is in the URL alone, so any cache may answer it, and one request is enough for all who ask the same. */
const CHANGES_HEADERS = {
  'cache-control': 'public, max-age=1',
  'access-control-allow-origin': '*',
  'access-control-expose-headers': 'retry-after',
  'content-type': CHANGES_MEDIA_TYPE,
} as const

function sendChanges(reply: FastifyReply, { whole, lines, isTurnedAway }: ChangesReply, isHead: boolean) {
  reply.headers(CHANGES_HEADERS)
  if (isTurnedAway) reply.header('retry-after', retryAfter())
  const pages = whole?.pages ?? []
  const bytes = [...pages.map(({ line }) => line), ...lines].reduce((sum, line) => sum + line.length, 0)
  // As a string it goes to the kernel in one piece with the headers: a tenth of the time of a short answer.
  if (bytes <= MAX_COPIED_BYTES)
    return reply.send([...pages.map(({ line }) => line), ...lines].map((line) => line.toString('latin1')).join(''))
  reply.header('content-length', bytes)
  if (isHead) return reply.send(Readable.from([])) // Fastify sets the length to 0 without one
  return reply.send(Readable.from(whole === undefined ? lines : chain(linesOf(whole, pages.length), lines)))
}

function* chain(...parts: Iterable<Buffer>[]): Generator<Buffer> {
  for (const part of parts) yield* part
}

/** Random: those who are turned away together must not come back together. */
const retryAfter = () => randomInt(RETRY_AFTER_SECONDS.from, RETRY_AFTER_SECONDS.to + 1)
