import { base64url } from '../../tokens/base64url.ts'
import type { Platform, PublicKey, RsaMembers } from './platform.ts'
import { createWebSignature } from './web-signature.ts'

const RS256 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }

/** Web Crypto and `fetch`, and nothing of Node: Cloudflare's workerd, edge runtimes, browsers. */
export const webPlatform: Platform = {
  createSignature: createWebSignature,
  readKey,
  inBackground: (fetch) => (input, init) => fetch(input, init), // called as a method, workerd's own `fetch` throws
  waitedFor: (promise) => promise,
  // biome-ignore lint/suspicious/noConsole: the one place for warnings where there is no process
  warn: (message, code) => console.warn(`${code}: ${message}`),
}

async function readKey({ kty, n, e }: RsaMembers): Promise<PublicKey> {
  const key = await crypto.subtle.importKey('jwk', { kty, n, e }, RS256, true, ['verify'])
  const members = new TextEncoder().encode(`{"e":"${e}","kty":"RSA","n":"${n}"}`)
  const kid = base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', members)))
  return { kid, pem: pemOf(await crypto.subtle.exportKey('spki', key)) }
}

function pemOf(spki: ArrayBuffer): string {
  const lines = btoa(String.fromCharCode(...new Uint8Array(spki))).match(/.{1,64}/g) ?? []
  return ['-----BEGIN PUBLIC KEY-----', ...lines, '-----END PUBLIC KEY-----', ''].join('\n')
}
