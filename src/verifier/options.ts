import { type Clock, systemClock } from '../clock.ts'
import { MAX_ACCESS_TOKEN_TTL_SECONDS, MAX_CLOCK_SKEW_SECONDS } from '../config/ceilings.ts'
import type { ErrorCode } from '../errors/app-error.ts'
import type { Refusal } from '../errors/refusals.ts'
import { isLoopback } from '../http/loopback.ts'
import { ACCESS_TOKEN_TYPE, type ClaimsPolicy } from '../tokens/claims.ts'
import { normalisedTyp } from '../tokens/credential.ts'
import { type ProtectedResource, protectedResource } from '../tokens/protected-resource.ts'
import { CACHE_BOUNDS, type CacheLimit } from '../tokens/verified-tokens.ts'
import type { MirrorHooks } from './mirror-hooks.ts'
import { feedAge, type ModeOptions, modeOptions, type VerifierMode, type WaitUntil } from './mode-options.ts'
import type { Platform } from './platform/platform.ts'
import type { VerifierStore } from './store/verifier-store.ts'

/** What happens to tokens when the copy of the revocation feed is no longer fresh. */
export type OnStale = 'accept' | 'reject'

/** What happened in the background: for metrics and logs. `reason` never holds a token. */
export type VerifierEvent =
  | { readonly type: 'keys_fetched'; readonly kids: readonly string[] }
  | { readonly type: 'keys_failed'; readonly reason: string }
  | { readonly type: 'revocations_applied'; readonly seq: number; readonly entries: number }
  /** The issuer's store went back (a failover, a restored backup). What was revoked before stays refused. */
  | { readonly type: 'issuer_went_back'; readonly seq: number; readonly entries: number }
  | { readonly type: 'revocations_failed'; readonly reason: string }
  /** The store could not be asked, or has what is of no use. The issuer is asked instead. */
  | { readonly type: 'store_failed'; readonly reason: string }
  /** A token or its caller was refused. `refusal` is for you: the caller is told `code` alone. */
  | { readonly type: 'refused'; readonly refusal: Refusal; readonly code: ErrorCode }
  /** A function that was given to `watch` has thrown. The others were called all the same. */
  | { readonly type: 'watch_failed'; readonly reason: string }
  /** A fault that is no refusal. The caller gets a 500 that tells nothing, and adapters log nothing: log it. */
  | { readonly type: 'internal'; readonly error: unknown }

/** Issuer and audience are all that has to be said. A check is switched off only by writing `null`. */
export interface VerifierOptions {
  /**
   * `iss` of the tokens, exactly, without a slash at the end. The JWKS and the feed are looked for below it. https,
   * except for loopback.
   */
  readonly issuer: string
  /**
   * `true` allows plain http to any host, for example inside a cluster: whoever can change that traffic can sign tokens
   * for this service. The process prints a warning. Default: false.
   */
  readonly insecureIssuer?: boolean
  /** Your own identifier: a token's `aud` has to hold one of these. */
  readonly audience: string | readonly string[] | null
  /** `true` follows the revocation feed: what is taken back is refused within about a second. Default: false. */
  readonly revocations?: boolean
  /**
   * What happens to tokens while no fresh copy of the feed can be had: `reject` answers 503. Default: `accept`; they
   * expire by themselves.
   */
  readonly onStale?: OnStale
  /**
   * The URL of this service, as its clients have it. Challenges then say where its metadata is (RFC 9728), and
   * `protectedResource()` has the document. https, except for loopback. Default: nothing is said.
   */
  readonly resource?: string
  /** The scopes that the metadata names. Clients of MCP ask for all of them at once. Default: none are named. */
  readonly scopesSupported?: readonly string[]
  /** How the copies of keys and feed are kept new. Default: `follow`. */
  readonly mode?: VerifierMode
  /**
   * Seconds, 1 to 3600: a token that comes when the copy of the feed is as old waits for a look. Only with `mode:
   * 'on-demand'` and `revocations: true`. Default: 10.
   */
  readonly maxFeedAge?: number
  /** Where keys and feed are kept outside of this process. Whoever can write there can sign tokens for this service. */
  readonly store?: VerifierStore
  /** With it, `on-demand` looks behind the answers when a copy has half of its age. Also for a single call. */
  readonly waitUntil?: WaitUntil
  /** `typ` of the header. Default: `at+jwt`. */
  readonly typ?: string | null
  /** Largest `exp - iat` in seconds. Default: 900. */
  readonly maxLifetime?: number | null
  /** Seconds two clocks may differ. Default: 5. */
  readonly clockSkew?: number
  /** Default: `<issuer>/.well-known/jwks.json`. */
  readonly jwksUri?: string
  /** Default: `<issuer>/.well-known/revocations`. */
  readonly revocationsUri?: string
  /** Seconds for which keys that can't be fetched again are still good, after their `max-age`. Default: 86400. */
  readonly keysMaxStale?: number
  /** Milliseconds for a request to the issuer. Default: 5000. */
  readonly timeout?: number
  /** Of verified tokens. Default: 10,000 entries and 16 million characters in each of two generations. */
  readonly cache?: CacheLimit
  readonly onEvent?: (event: VerifierEvent) => void
  /** For a proxy or client certificates, and for tests. */
  readonly fetch?: typeof fetch
  readonly now?: Clock
}

export interface Resolved extends ModeOptions {
  readonly policy: ClaimsPolicy
  readonly jwksUri: URL
  /** Undefined: the feed is not followed. */
  readonly feed: { readonly uri: URL; readonly onStale: OnStale; readonly maxFeedAge: number } | undefined
  readonly resource: ProtectedResource | undefined
  readonly keysMaxStale: number
  readonly timeout: number
  readonly cache: CacheLimit
  readonly onEvent: (event: VerifierEvent) => void
  readonly fetch: typeof fetch
  readonly now: Clock
  readonly platform: Platform
  readonly mirrored?: MirrorHooks | undefined
}

/**
 * The options with their defaults.
 *
 * @throws TypeError that names the option; createTokenVerifier asserts the policy itself
 */
export function resolveOptions(options: VerifierOptions, platform: Platform): Resolved {
  assertKnown(options)
  const { issuer, audience, revocations = false, onStale = 'accept', insecureIssuer = false, maxFeedAge = 10 } = options
  const { typ = ACCESS_TOKEN_TYPE, maxLifetime = MAX_ACCESS_TOKEN_TTL_SECONDS } = options
  assertIssuer(issuer)
  if (typeof insecureIssuer !== 'boolean') throw new TypeError('insecureIssuer: true or false')
  if (audience === undefined) throw new TypeError('audience: your own identifier is needed, or null for any')
  if (typeof revocations !== 'boolean') throw new TypeError('revocations: true or false')
  if (!revocations && (options.onStale !== undefined || options.revocationsUri !== undefined))
    throw new TypeError('onStale, revocationsUri: they have no effect without revocations: true')
  const ofMode = modeOptions(options)
  if (onStale !== 'accept' && onStale !== 'reject') throw new TypeError('onStale: "accept" or "reject"')
  const jwksUri = secureUrl('jwksUri', options.jwksUri ?? `${issuer}/.well-known/jwks.json`, insecureIssuer)
  const feedUri = options.revocationsUri ?? `${issuer}/.well-known/revocations`
  const uri = secureUrl('revocationsUri', feedUri, insecureIssuer)
  warnOfPlainHttp(revocations ? [jwksUri, uri] : [jwksUri], platform)
  return {
    policy: {
      issuer,
      audience: typeof audience === 'string' ? [audience] : audience,
      typ: typ === null ? null : normalisedTyp(typ),
      maxLifetime,
      // Revocations are kept for tokens that are as late as the ceiling, and no longer.
      skew: bounded('clockSkew', options.clockSkew ?? 5, MAX_CLOCK_SKEW_SECONDS),
      keepOthers: true,
    },
    jwksUri,
    feed: revocations ? { uri, onStale, maxFeedAge: feedAge(maxFeedAge) } : undefined,
    ...ofMode,
    resource: described(options),
    keysMaxStale: positive('keysMaxStale', options.keysMaxStale ?? 86_400),
    timeout: positive('timeout', options.timeout ?? 5000),
    cache: cacheLimit(options.cache ?? CACHE_BOUNDS),
    onEvent: safely(options.onEvent),
    fetch: platform.inBackground(options.fetch ?? fetch),
    now: options.now ?? systemClock,
    platform,
  }
}

export const OPTION_NAMES: readonly string[] = [
  ...[
    'issuer',
    'insecureIssuer',
    'audience',
    'revocations',
    'resource',
    'scopesSupported',
    'onStale',
    'typ',
    'maxLifetime',
    'clockSkew',
    'jwksUri',
    'revocationsUri',
  ],
  ...['keysMaxStale', 'timeout', 'cache', 'onEvent', 'fetch', 'now'],
  ...['mode', 'maxFeedAge', 'store', 'waitUntil'],
]

/** `revocation: true` would leave the feed unread, and nobody would notice. */
function assertKnown(options: VerifierOptions): void {
  const unknown = Object.keys(Object(options)).find((name) => !OPTION_NAMES.includes(name))
  if (unknown !== undefined) throw new TypeError(`${unknown.slice(0, 40)}: there is no such option`)
}

function described({ issuer, resource, scopesSupported, insecureIssuer: insecure = false }: VerifierOptions) {
  if (resource !== undefined)
    return protectedResource({ resource, authorizationServers: [issuer], scopesSupported, insecure })
  if (scopesSupported === undefined) return undefined
  throw new TypeError('scopesSupported: it has no effect without resource')
}

/** `iss` is compared to the letter, so an issuer that no token can have would refuse every token. */
function assertIssuer(issuer: unknown): void {
  if (typeof issuer !== 'string' || issuer === '') throw new TypeError('issuer: the URL of the token server is needed')
  const shown = JSON.stringify(issuer.slice(0, 100))
  if (issuer.endsWith('/'))
    throw new TypeError(`issuer: ${shown} ends with a slash, and \`iss\` of the tokens does not: leave the slash out`)
  if (/[?#]/.test(issuer)) throw new TypeError(`issuer: ${shown} has a query or a fragment, which no issuer has`)
}

/**
 * Whoever can change what is read here can sign tokens: no plain http, except on this machine, or where it is asked.
 */
function secureUrl(option: string, text: string, insecure: boolean): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new TypeError(`${option}: ${JSON.stringify(text.slice(0, 100))} is not a URL`)
  }
  if (url.username !== '' || url.password !== '') throw new TypeError(`${option}: a URL with a password in it`)
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return url
  if (url.protocol !== 'http:' || !insecure)
    throw new TypeError(
      `${option}: ${url.origin} is not https, and only loopback may be reached without; ` +
        '`insecureIssuer: true` allows plain http, for example inside a cluster',
    )
  return url
}

/** Allowed is not silent. */
function warnOfPlainHttp(urls: readonly URL[], platform: Platform): void {
  const plain = urls.filter(({ protocol, hostname }) => protocol === 'http:' && !isLoopback(hostname))
  for (const origin of new Set(plain.map((url) => url.origin))) {
    const risk = 'whoever can change that traffic can sign tokens for this service'
    platform.warn(`signet: ${origin} is reached over plain http: ${risk}`, 'SIGNET_INSECURE_ISSUER')
  }
}

function cacheLimit({ entries, characters }: CacheLimit): CacheLimit {
  return { entries: bounded('cache.entries', entries, 1e7), characters: bounded('cache.characters', characters, 1e10) }
}

/** What a listener does wrong must not end the following of keys and revocations. */
function safely(listener: VerifierOptions['onEvent']): Resolved['onEvent'] {
  return (event) => {
    try {
      listener?.(event)
    } catch {}
  }
}

function bounded(option: string, value: number, most: number): number {
  if (positive(option, value) > most) throw new TypeError(`${option}: a number of at most ${most}`)
  return value
}

function positive(option: string, value: number): number {
  if (!(Number.isFinite(value) && value >= 0)) throw new TypeError(`${option}: a number of at least 0`)
  return value
}
