import { Type } from '@sinclair/typebox'
import { ANY_ORIGIN } from '../http/any-origin.ts'
import type { App } from '../http/app-type.ts'
import { matchesEtag } from '../http/etag.ts'
import { networkOfRequest } from '../http/request-source.ts'
import type { Feed } from './feed.ts'
import { FeedClaims } from './feed-format.ts'

/** The longest wait of a long poll: below the idle time-outs of proxies. */
const MAX_WAIT_SECONDS = 30

const Query = Type.Object(
  {
    wait: Type.Optional(
      Type.String({
        pattern: '^(0|[1-9]|[12][0-9]|30)$',
        description: `With \`If-None-Match\`: seconds to wait for something newer, 0..${MAX_WAIT_SECONDS}`,
      }),
    ),
  },
  { additionalProperties: false },
)

/** `GET /.well-known/revocations`: the signed revocation feed, sent from a prepared buffer, for any origin. */
export function feedRoute(app: App, { feed }: { feed: Feed }): void {
  app.addHook('preClose', (done) => {
    feed.close()
    done()
  })
  app.get(
    '/.well-known/revocations',
    {
      config: { auth: 'public', cors: false, errors: ['signing_unavailable'] },
      schema: {
        tags: ['Integrators'],
        summary: 'Revocation feed, signed',
        description:
          'A compact JWS, `typ: revocations+jwt`, signed by a key of the JWKS. ' +
          'Its payload is described by `FeedClaims`. ' +
          'Revalidate with `If-None-Match`; with `wait` the answer comes when there is something newer.',
        querystring: Query,
        response: {
          200: {
            description: 'The feed: a compact JWS of FeedClaims',
            content: {
              'application/revocations+jwt': { schema: Type.Unsafe<string>({ ...FeedClaims, $id: 'FeedClaims' }) },
            },
          },
          304: { description: 'The feed has not changed', type: 'null' },
        },
      },
    },
    async (request, reply) => {
      const { signal } = request // before anything is awaited: it hears nothing of a client that left before
      const held = request.headers['if-none-match']
      const wait = Number(request.query.wait ?? 0)
      let document = await feed.current()
      if (wait > 0 && matchesEtag(held, document.etag)) {
        await feed.newerThan(document.etag, wait * 1000, signal, networkOfRequest(request))
        document = await feed.current()
      }
      reply
        .header('cache-control', 'public, no-cache') // caches keep it, and revalidate it each time
        .header('etag', document.etag)
        .headers(ANY_ORIGIN)
        .type('application/revocations+jwt')
      if (matchesEtag(held, document.etag)) return reply.code(304).send(null as never)
      return reply.send(document.body as never)
    },
  )
}
