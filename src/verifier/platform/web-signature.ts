import { AppError } from '../../errors/app-error.ts'
import { canonicalBytes } from '../../tokens/base64url.ts'
import { memoizePerKey } from '../../tokens/memoize-per-key.ts'
import type { VerifySignature } from '../../tokens/verify.ts'

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const RS256 = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }

/**
 * Verifies an RS256 signature with Web Crypto alone, as `createNodeSignature` does with node:crypto.
 *
 * @returns a function that resolves to the payload and rejects with AppError `invalid_token`
 */
export function createWebSignature(): VerifySignature {
  const keyOf = importedKeys()
  return async (token, pem) => {
    const [start, end] = [token.indexOf('.') + 1, token.lastIndexOf('.')]
    const signature = canonicalBytes(token.slice(end + 1)) ?? new Uint8Array()
    const signed = new TextEncoder().encode(token.slice(0, end))
    if (!(await crypto.subtle.verify(RS256.name, await keyOf(pem), signature, signed)))
      throw new AppError('invalid_token', { reason: 'the signature does not match the key', refusal: 'signature' })
    try {
      return JSON.parse(utf8.decode(canonicalBytes(token.slice(start, end))))
    } catch {
      throw new AppError('invalid_token', { reason: 'the payload is not JSON', refusal: 'malformed' })
    }
  }
}

type Key = Awaited<ReturnType<typeof importKey>>

/**
 * Remembers imported keys, and never the promise of one: it may reject, and in Cloudflare's workerd it is never settled
 * when the request that began it is cancelled. Every later token of that key would share its fate.
 */
function importedKeys(): (pem: string) => Promise<Key> {
  const slotOf = memoizePerKey((): { key?: Key } => ({}))
  return async (pem) => {
    const slot = slotOf(pem)
    slot.key ??= await importKey(pem)
    return slot.key
  }
}

function importKey(pem: string): ReturnType<typeof crypto.subtle.importKey> {
  const base64 = pem.replace(/-----[A-Z ]+-----/g, '').replace(/\s/g, '')
  const spki = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  return crypto.subtle.importKey('spki', spki, RS256, false, ['verify'])
}
