import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  type FetchImplementation,
  type JWTVerifyGetKey,
} from 'jose'
import { monotonicClock } from '../clock.ts'
import { boundedFetch, failure } from '../http/bounded-fetch.ts'
import { isLoopback } from '../http/loopback.ts'
import type { Client } from './client.ts'
import { readPublicKey } from './client-public-key.ts'

/** How long a client's server may take to send its keys. */
const FETCH_TIMEOUT_MS = 3000
/** After a failure, the URL is not fetched again for this long. */
const RETRY_AFTER_FAILURE_MS = 10_000
const MAX_JWKS_BYTES = 64 * 1024
const MAX_REMOTE_KEYS = 32
/** How many URLs are remembered. */
const MAX_ADDRESSES = 500

/** Selects the key with which a client signed an assertion. */
export type ClientKeys = (client: Pick<Client, 'jwks' | 'jwksUri'>) => JWTVerifyGetKey

/**
 * True for a URL that keys may be fetched from: https, or http on this machine; without credentials and without a
 * fragment.
 */
export function isJwksUri(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '' || /[#\s]/.test(text)) return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
}

/**
 * @returns a function that returns the key set of a client. A remote set is fetched when a key of it is needed, kept
 *   for ten minutes, and fetched again for an unknown `kid` at most every 30 s (defaults of jose)
 */
export function createClientKeys(): ClientKeys {
  const remote = new Map<string, JWTVerifyGetKey>()
  const fetchKeys = createFetchKeys()
  return ({ jwks, jwksUri }) => {
    if (jwks !== null) return createLocalJWKSet({ keys: jwks.keys.map((key) => ({ ...key, kty: key.kty ?? '' })) })
    if (jwksUri === null || !isJwksUri(jwksUri)) throw new TypeError('a client without keys')
    let keys = remote.get(jwksUri)
    if (keys === undefined) {
      keys = createRemoteJWKSet(new URL(jwksUri), { timeoutDuration: FETCH_TIMEOUT_MS, [customFetch]: fetchKeys })
      const [oldest] = remote.keys()
      if (remote.size >= MAX_ADDRESSES && oldest !== undefined) remote.delete(oldest)
      remote.set(jwksUri, keys)
    }
    return keys
  }
}

/** Remembers which URLs failed: somebody who sends assertions must not make us fetch a failing URL again and again. */
function createFetchKeys(): FetchImplementation {
  const failedAt = new Map<string, number>()
  return async (url, options) => {
    if (monotonicClock() < (failedAt.get(url) ?? Number.NEGATIVE_INFINITY) + RETRY_AFTER_FAILURE_MS)
      throw new Error('the address of the keys failed a moment ago')
    try {
      const keys = await fetchJwks(url, options)
      failedAt.delete(url)
      return keys
    } catch (error) {
      if (failedAt.size >= MAX_ADDRESSES) failedAt.clear()
      failedAt.set(url, monotonicClock())
      throw error
    }
  }
}

/** Fetches a JWK Set, and keeps only the keys that would have been accepted at registration. */
const fetchJwks: FetchImplementation = async (url, { headers, signal }) => {
  const bounds = { timeout: FETCH_TIMEOUT_MS, maxBytes: MAX_JWKS_BYTES, signal }
  const { text } = await boundedFetch(new URL(url), { fetch, headers: Object.fromEntries(headers), ...bounds }).catch(
    (error) => {
      throw new Error(`the address of the keys: ${failure(error)}`, { cause: error })
    },
  )
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('the address of the keys has no JWK set')
  const accepted = keys.slice(0, MAX_REMOTE_KEYS).map(readPublicKey)
  return Response.json({ keys: accepted.filter((key) => !('fault' in key)) })
}
