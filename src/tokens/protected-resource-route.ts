import { Type } from '@sinclair/typebox'
import { ANY_ORIGIN } from '../http/any-origin.ts'
import type { App } from '../http/app-type.ts'
import { PROTECTED_RESOURCE_PATH, type ProtectedResource, protectedResource } from './protected-resource.ts'

/** Clients may cache the metadata this long: it changes with a release or a setting only. */
const MAX_AGE_SECONDS = 3600

const Strings = Type.Array(Type.String())
const Metadata = Type.Object(
  {
    resource: Type.String({ description: 'the issuer: every route of this API is below it' }),
    authorization_servers: Strings,
    bearer_methods_supported: Strings,
  },
  { $id: 'ProtectedResourceMetadata', description: 'RFC 9728' },
)

/**
 * The protected resource that this server is (RFC 9728): its API, whose identifier is the issuer. Every route is below
 * it, and the document is where clients look for it (section 3.3). `AUDIENCE` is what tokens say, and may be the URL of
 * another service, for which nobody can speak at this address.
 *
 * No scopes: clients that follow the document ask for all that it names, and few may have all of this server's.
 */
export function ownResource(issuer: string): ProtectedResource {
  return protectedResource({ resource: issuer, authorizationServers: [issuer], insecure: true })
}

/**
 * `GET /.well-known/oauth-protected-resource`: who issues the tokens that the API of this server takes (RFC 9728), for
 * any origin.
 */
export function protectedResourceRoute(app: App, { path, body }: ProtectedResource): void {
  const schema = {
    tags: ['Integrators'],
    summary: 'Who issues the tokens that this API takes',
    response: { 200: Metadata },
  }
  // A proxy that strips the path of the issuer finds the metadata at the root.
  for (const url of new Set([PROTECTED_RESOURCE_PATH, path])) {
    app.get(url, { config: { auth: 'public', cors: false }, schema }, (_request, reply) => {
      reply.header('cache-control', `public, max-age=${MAX_AGE_SECONDS}`).headers(ANY_ORIGIN)
      return body
    })
  }
}
