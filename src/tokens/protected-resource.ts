import { isLoopback } from '../http/loopback.ts'

/** RFC 9728 section 3: the path under which a resource of the whole host says who issues its tokens. */
export const PROTECTED_RESOURCE_PATH = '/.well-known/oauth-protected-resource'

/** RFC 9728 section 2, as far as a Signet server and the services that verify its tokens say it. */
export interface ProtectedResourceMetadata {
  readonly resource: string
  readonly authorization_servers: string[]
  /** RFC 6750: a token is taken from the `Authorization` header and from nowhere else. */
  readonly bearer_methods_supported: string[]
  readonly scopes_supported?: string[]
  readonly resource_name?: string
}

/** The metadata of a protected resource, and where it has to be served. */
export interface ProtectedResource {
  /** The path of the document on the host of the resource. */
  readonly path: string
  /** The same as an absolute URL: `resource_metadata` of a challenge (RFC 9728 section 5.1). */
  readonly url: string
  readonly body: ProtectedResourceMetadata
}

export interface DescribedResource {
  /**
   * The identifier of the resource (RFC 9728 section 1.2): the URL that its clients have, with its path. https, except
   * for loopback. It is published to the letter, because clients compare it so (section 3.3).
   */
  readonly resource: string
  /** The issuers whose tokens the resource takes. */
  readonly authorizationServers: readonly string[]
  /** The scopes that a client may need here. Clients of MCP ask for all of them at once. */
  readonly scopesSupported?: readonly string[] | undefined
  /** The name of the resource for people. */
  readonly resourceName?: string | undefined
  /** `true` allows plain http to any host. Default: false. */
  readonly insecure?: boolean
}

/**
 * The metadata of a protected resource (RFC 9728). Its address is the identifier with the well-known part between host
 * and path (section 3.1): `https://example.com/.well-known/oauth-protected-resource/mcp` for `https://example.com/mcp`.
 *
 * @throws TypeError that names the member and says what it must be
 */
export function protectedResource(described: DescribedResource): ProtectedResource {
  const { resource, authorizationServers, scopesSupported, resourceName, insecure = false } = described
  const { origin, pathname } = resourceUrl(resource, insecure)
  if (!Array.isArray(authorizationServers) || authorizationServers.length === 0)
    throw new TypeError('authorizationServers: at least one issuer')
  if (scopesSupported !== undefined && !(Array.isArray(scopesSupported) && scopesSupported.every(isScope)))
    throw new TypeError('scopesSupported: a list of scopes, each without spaces, quotes and backslashes')
  if (resourceName !== undefined && (typeof resourceName !== 'string' || resourceName === ''))
    throw new TypeError('resourceName: a name for people')
  const path = `${PROTECTED_RESOURCE_PATH}${pathname === '/' ? '' : pathname}`
  return {
    path,
    url: `${origin}${path}`,
    body: {
      resource,
      authorization_servers: [...authorizationServers],
      bearer_methods_supported: ['header'],
      ...(scopesSupported !== undefined && { scopes_supported: [...scopesSupported] }),
      ...(resourceName !== undefined && { resource_name: resourceName }),
    },
  }
}

/**
 * Only a URL in its normal form: a client that writes it in another way would find that the resource says something
 * else than what it asked for. A query is possible by the RFC, and would have no route of its own.
 */
function resourceUrl(resource: unknown, insecure: boolean): URL {
  if (typeof resource !== 'string' || resource === '')
    throw new TypeError('resource: the URL of this service is needed')
  const shown = JSON.stringify(resource.slice(0, 100))
  const url = parsed(resource)
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new TypeError(`resource: ${shown} is not an https URL`)
  if (url.username !== '' || url.password !== '') throw new TypeError('resource: a URL with a password in it')
  if (/[?#]/.test(resource)) throw new TypeError(`resource: ${shown} has a query or a fragment: leave it out`)
  if (url.protocol === 'http:' && !insecure && !isLoopback(url.hostname))
    throw new TypeError(`resource: ${url.origin} is not https, and only loopback may be reached without`)
  if (url.href !== resource && url.href !== `${resource}/`)
    throw new TypeError(`resource: ${shown} is not in its normal form: write ${JSON.stringify(url.href.slice(0, 100))}`)
  // The path becomes the path of a route, where these characters have a meaning of their own.
  if (/[*:()]|\/\//.test(url.pathname)) throw new TypeError(`resource: ${shown} has *, :, brackets or // in its path`)
  return url
}

function parsed(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

/** RFC 6749 section 3.3: scope-token. */
function isScope(name: unknown): boolean {
  return typeof name === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name)
}
