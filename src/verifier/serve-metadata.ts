import type { FastifyInstance } from 'fastify'
import type { Verifier } from './verifier.ts'

/**
 * Serves the metadata of the service (RFC 9728), to everybody and to pages of any origin. A route that the app has
 * there already stays, and a log line says so. A later one stops the start with Fastify's own error, which names the
 * address.
 *
 * Within a prefix the route could not stand where clients look for it, so it is left to the app.
 */
export function serveMetadata(app: FastifyInstance, verifier: Pick<Verifier, 'protectedResource'>): void {
  const resource = verifier.protectedResource()
  if (resource === undefined) return
  const { path, body } = resource
  if (app.hasRoute({ method: 'GET', url: path }))
    app.log.info({ path }, 'signet: the app serves the metadata of its resource itself')
  else if (app.prefix !== '')
    app.log.warn({ path }, 'signet: the plugin is below a prefix: serve app.signet.protectedResource().body')
  else
    app.get(path, { config: { auth: 'public' } }, (_request, reply) => {
      reply.headers({ 'access-control-allow-origin': '*', 'cache-control': 'public, max-age=3600' })
      return body
    })
}
