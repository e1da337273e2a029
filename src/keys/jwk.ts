import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { OperatorError } from '../errors/app-error.ts'
import type { PublicJwk } from './jwk-schema.ts'

export type { PublicJwk }

/**
 * The public half of an RSA key, allow-listed.
 *
 * @param key a private or public key object
 * @throws OperatorError for anything but RSA with at least 2048 bits (NIST SP 800-131A) and exponent 65537 (with e = 1
 *   every signature verifies)
 */
export function publicJwk(key: KeyObject): PublicJwk {
  const publicHalf = key.type === 'private' ? createPublicKey(key) : key
  const { modulusLength = 0, publicExponent } = publicHalf.asymmetricKeyDetails ?? {}
  if (publicHalf.asymmetricKeyType !== 'rsa') throw new OperatorError('the key is not an RSA key')
  if (modulusLength < 2048) throw new OperatorError(`the key has ${modulusLength} bits, and at least 2048 are needed`)
  if (publicExponent !== 65537n) throw new OperatorError('the public exponent of the key is not 65537')

  const { n = '', e } = publicHalf.export({ format: 'jwk' }) as { n?: string; e?: string }
  if (e !== 'AQAB') throw new OperatorError('the public exponent of the key is not 65537')
  return { kty: 'RSA', n, e, kid: thumbprint({ n, e }), use: 'sig', alg: 'RS256' }
}

/** The `kid` of a key: RFC 7638 section 3, SHA-256 over the required members in lexical order, base64url. */
export function thumbprint({ n, e }: { n: string; e: string }): string {
  return createHash('sha256').update(`{"e":"${e}","kty":"RSA","n":"${n}"}`).digest('base64url')
}

/**
 * The SPKI PEM of a public JWK: fast-jwt keeps one verifier per PEM text, and rebuilds it for every other form of key.
 */
export function toPem(jwk: PublicJwk): string {
  const key = createPublicKey({ key: { kty: jwk.kty, n: jwk.n, e: jwk.e }, format: 'jwk' })
  return key.export({ type: 'spki', format: 'pem' }).toString()
}
