import { base64url, canonicalBytes } from '../tokens/base64url.ts'
import type { Platform, PublicKey } from './platform.ts'
import { createWebSignature } from './web-signature.ts'

const RS256 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
const MIN_KEY_BITS = 2048

/** Web Crypto and `fetch`, and nothing of Node: Cloudflare's workerd, edge runtimes, browsers. */
export const webPlatform: Platform = {
  createSignature: createWebSignature,
  readKey,
  inBackground: (fetch) => (input, init) => fetch(input, init), // called as a method, workerd's own `fetch` throws
  waitedFor: (promise) => promise,
  // biome-ignore lint/suspicious/noConsole: the one place for warnings where there is no process
  warn: (message, code) => console.warn(`${code}: ${message}`),
}

/** As strict as `publicJwk` of Node: RSA, at least 2048 bits, exponent 65537, which is the only one it takes. */
async function readKey(jwk: {
  readonly kty?: unknown
  readonly n?: unknown
  readonly e?: unknown
}): Promise<PublicKey> {
  const { kty, n, e } = jwk
  if (kty !== 'RSA' || typeof n !== 'string' || e !== 'AQAB') throw new Error('not an RSA key with exponent 65537')
  const modulus = canonicalBytes(n)
  // RFC 7518 section 6.3.1.1: without leading zeros, so that a key has one thumbprint.
  if (modulus === undefined || modulus[0] === 0 || modulus.length * 8 < MIN_KEY_BITS)
    throw new Error(`not a modulus of at least ${MIN_KEY_BITS} bits`)
  const key = await crypto.subtle.importKey('jwk', { kty, n, e }, RS256, true, ['verify'])
  const { modulusLength } = key.algorithm as unknown as { modulusLength: number }
  if (!(modulusLength >= MIN_KEY_BITS)) throw new Error(`a key of ${modulusLength} bits`)
  const members = new TextEncoder().encode(`{"e":"${e}","kty":"RSA","n":"${n}"}`)
  const kid = base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', members)))
  return { kid, pem: pemOf(await crypto.subtle.exportKey('spki', key)) }
}

function pemOf(spki: ArrayBuffer): string {
  const lines = btoa(String.fromCharCode(...new Uint8Array(spki))).match(/.{1,64}/g) ?? []
  return ['-----BEGIN PUBLIC KEY-----', ...lines, '-----END PUBLIC KEY-----', ''].join('\n')
}
