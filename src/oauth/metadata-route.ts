import { Type } from '@sinclair/typebox'
import { ADMIN_SCOPES } from '../administration/admin-scopes.ts'
import { CLIENT_AUTH_METHODS } from '../clients/client.ts'
import { ASSERTION_ALGS } from '../clients/client-public-key.ts'
import { ANY_ORIGIN } from '../http/any-origin.ts'
import type { App } from '../http/app-type.ts'
import { issuerPath } from '../http/issuer-path.ts'

const WELL_KNOWN = '/.well-known/oauth-authorization-server'
/** Clients may cache the metadata this long: it changes with a release or a setting only. */
const MAX_AGE_SECONDS = 3600

const Strings = Type.Array(Type.String())
const Metadata = Type.Object(
  {
    issuer: Type.String(),
    authorization_endpoint: Type.String({ description: 'refuses every request: `response_types_supported` is empty' }),
    token_endpoint: Type.String(),
    jwks_uri: Type.String(),
    revocation_endpoint: Type.String(),
    introspection_endpoint: Type.String(),
    scopes_supported: Strings,
    grant_types_supported: Strings,
    response_types_supported: Strings,
    token_endpoint_auth_methods_supported: Strings,
    token_endpoint_auth_signing_alg_values_supported: Strings,
    revocation_endpoint_auth_methods_supported: Strings,
    revocation_endpoint_auth_signing_alg_values_supported: Strings,
    introspection_endpoint_auth_methods_supported: Strings,
    introspection_endpoint_auth_signing_alg_values_supported: Strings,
    service_documentation: Type.Optional(Type.String({ description: 'absent with `DOCS=off`' })),
    signet_openapi: Type.String({ description: 'URL of the OpenAPI document' }),
    signet_revocation_feed: Type.String({ description: 'URL of the signed revocation feed' }),
  },
  { $id: 'AuthorizationServerMetadata', description: 'RFC 8414' },
)

export function tokenEndpointOf(issuer: string): string {
  return `${issuer}/oauth/token`
}

interface Described {
  readonly issuer: string
  readonly docs: boolean
  /** Scopes of the services that take the tokens of this server. */
  readonly scopes: readonly string[]
}

/**
 * `GET /.well-known/oauth-authorization-server`: the endpoints and abilities of this server (RFC 8414), for any origin.
 *
 * The scopes are those that the operator named and the server's own; the store, where each client has its own, is not
 * asked. RFC 8414 section 2 allows a server to leave out some.
 */
export function metadataRoute(app: App, { issuer, docs, scopes }: Described): void {
  const confidential: string[] = [...CLIENT_AUTH_METHODS]
  const metadata = {
    issuer,
    // Needed only by grants that this server does not have (RFC 8414 section 2). The clients of MCP need it to read on.
    authorization_endpoint: `${issuer}/oauth/authorize`,
    token_endpoint: tokenEndpointOf(issuer),
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    introspection_endpoint: `${issuer}/oauth/introspect`,
    scopes_supported: [...scopes, ...ADMIN_SCOPES],
    grant_types_supported: ['client_credentials', 'refresh_token'],
    response_types_supported: [], // no authorization endpoint issues anything
    token_endpoint_auth_methods_supported: [...confidential, 'none'],
    token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGS,
    revocation_endpoint_auth_methods_supported: [...confidential, 'none'],
    revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGS,
    introspection_endpoint_auth_methods_supported: confidential,
    introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGS,
    ...(docs && { service_documentation: `${issuer}/docs` }),
    signet_openapi: `${issuer}/openapi.json`,
    signet_revocation_feed: `${issuer}/.well-known/revocations`,
  }
  const schema = {
    tags: ['Integrators'],
    summary: 'OAuth server metadata: endpoints and features',
    response: { 200: Metadata },
  }
  const pathname = issuerPath(issuer)
  // RFC 8414 section 3.1: the path of an issuer follows the well-known part. A proxy that strips the path finds the
  // metadata at the root.
  const paths = pathname === '' ? [WELL_KNOWN] : [WELL_KNOWN, `${WELL_KNOWN}${pathname}`]
  for (const path of paths) {
    app.get(path, { config: { auth: 'public', cors: false }, schema }, (_request, reply) => {
      reply.header('cache-control', `public, max-age=${MAX_AGE_SECONDS}`).headers(ANY_ORIGIN)
      return metadata
    })
  }
}
