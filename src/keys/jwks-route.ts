import { ANY_ORIGIN } from '../http/any-origin.ts'
import type { App } from '../http/app-type.ts'
import { matchesEtag } from '../http/etag.ts'
import { JwkSet } from './jwks.ts'
import type { LiveKeyring } from './live-keyring.ts'

/** `GET /.well-known/jwks.json`: the public keys (RFC 7517), sent from a prepared buffer, for any origin. */
export function jwksRoute(app: App, { keyring }: { keyring: LiveKeyring }): void {
  app.get(
    '/.well-known/jwks.json',
    {
      config: { auth: 'public', cors: false },
      schema: {
        tags: ['Integrators'],
        summary: 'Public signing keys',
        description: 'Cache for `max-age` seconds; revalidate with `If-None-Match`.',
        response: {
          200: { description: 'The JWK Set', content: { 'application/jwk-set+json': { schema: JwkSet } } },
          304: { description: 'Unchanged', type: 'null' },
        },
      },
    },
    (request, reply) => {
      const { body, etag } = keyring.jwks()
      reply
        .header('cache-control', `public, max-age=${keyring.jwksMaxAge()}`)
        .header('etag', etag)
        .headers(ANY_ORIGIN)
        .type('application/jwk-set+json')
      if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send(null as never)
      return reply.send(body as never)
    },
  )
}
