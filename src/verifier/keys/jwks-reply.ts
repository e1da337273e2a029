import { canonicalBytes } from '../../tokens/base64url.ts'
import type { Platform, RsaMembers } from '../platform/platform.ts'

const MAX_KEYS = 64
/** Bits of a modulus: NIST SP 800-131A, and the most that OpenSSL verifies with. */
const KEY_BITS = { least: 2048, most: 16_384 }
/** Seconds, where the answer does not say how long it may be kept, and the bounds of what it may say. */
const MAX_AGE_SECONDS = { default: 300, least: 5, most: 86_400 }

/**
 * The keys of a JWK Set that verify RS256, as PEM by kid. A key that can't be used safely is left out: it must not
 * take the others with it.
 *
 * @throws Error when none is left
 */
export async function readJwks(text: string, readKey: Platform['readKey']): Promise<Map<string, string>> {
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys)) throw new Error('not a JWK Set')
  const pems = new Map<string, string>()
  for (const jwk of keys.slice(0, MAX_KEYS)) {
    const { kid, alg, use = 'sig', d } = Object(jwk)
    if (alg !== 'RS256' || use !== 'sig' || d !== undefined) continue
    try {
      const key = await readKey(rsaMembers(jwk))
      // A kid is the thumbprint of its key (RFC 7638), so it can't name another one.
      if (key.kid === kid) pems.set(kid, key.pem)
    } catch {}
  }
  if (pems.size === 0) throw new Error('a JWK Set without a key that can be used')
  return pems
}

/**
 * What makes an RSA key, in the one spelling that RFC 7518 section 6.3.1.1 allows: Node would also take others, and two
 * runtimes of one service have to take the same keys. The exponent is 65537: with e = 1 every signature verifies.
 *
 * @throws Error for anything else
 */
function rsaMembers({ kty, n, e }: { kty?: unknown; n?: unknown; e?: unknown }): RsaMembers {
  if (kty !== 'RSA' || typeof n !== 'string' || e !== 'AQAB') throw new Error('not an RSA key with exponent 65537')
  const modulus = canonicalBytes(n)
  const bits = modulus === undefined ? 0 : modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24
  if (modulus?.[0] === 0 || bits < KEY_BITS.least || bits > KEY_BITS.most)
    throw new Error(`not a modulus of ${KEY_BITS.least} to ${KEY_BITS.most} bits`)
  return { kty, n, e }
}

/** Seconds for which an answer may be kept from the moment on when it was made (RFC 9111 section 5.2.2.1). */
export function maxAgeSeconds(headers: Headers): number {
  const said = /(?:^|[\s,])max-age=(\d{1,9})/i.exec(headers.get('cache-control') ?? '')?.[1]
  const seconds = said === undefined ? MAX_AGE_SECONDS.default : Number(said)
  return Math.min(MAX_AGE_SECONDS.most, Math.max(MAX_AGE_SECONDS.least, seconds))
}

/** Seconds for which a shared cache had the answer before it sent it (RFC 9111 section 5.1); 0 without a cache. */
export function ageSeconds(headers: Headers): number {
  const said = /^\s*(\d{1,9})\s*(?:,|$)/.exec(headers.get('age') ?? '')?.[1]
  return Number(said ?? 0)
}

/** The URL with one more member in its query. What is there stays to the letter: it may be signed. */
export function withQuery(url: URL, name: string, value: string): URL {
  const longer = new URL(url)
  longer.search = `${url.search}${url.search === '' ? '?' : '&'}${new URLSearchParams({ [name]: value })}`
  return longer
}
