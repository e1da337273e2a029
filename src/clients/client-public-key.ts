import { createPublicKey, type JsonWebKey } from 'node:crypto'
import type { PublicKey } from './client.ts'

/**
 * The algorithms with which assertions may be signed (RFC 7518). `Ed25519` is the name that RFC 9864 gives to what
 * `EdDSA` mostly means.
 */
export const ASSERTION_ALGS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']

const MEMBERS = ['kty', 'kid', 'alg', 'use', 'n', 'e', 'crv', 'x', 'y']
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const ALGS_OF: Readonly<Record<string, readonly string[]>> = {
  RSA: ['RS256', 'PS256'],
  'P-256': ['ES256'],
  Ed25519: ['EdDSA', 'Ed25519'],
}
const MIN_RSA_BITS = 2048
const MAX_RSA_BITS = 8192 // with a longer key, verifying costs us more than signing costs the client

/**
 * Reads a client's public key.
 *
 * @returns its named members only; or the reason why it is not accepted
 */
export function readPublicKey(jwk: unknown): PublicKey | { readonly fault: string } {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return { fault: 'is not an object' }
  // A private key that was sent to us is no longer private, and with a symmetric key we could sign in the client's
  // name.
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(jwk, name))) return { fault: 'is not a public key' }
  const key: Record<string, string> = {}
  for (const name of MEMBERS) {
    const value = Object.hasOwn(jwk, name) ? (jwk as Record<string, unknown>)[name] : undefined
    if (value === undefined) continue
    if (typeof value !== 'string' || value === '' || value.length > 2048 || value.includes('\0'))
      return { fault: `has a ${name} that is not text` }
    key[name] = value
  }
  const fault = whyUnfit(key)
  return fault === undefined ? key : { fault }
}

function whyUnfit(key: Record<string, string>): string | undefined {
  const { kty = '', crv = '', alg, use = 'sig', kid = '' } = key
  const kind = kty === 'RSA' ? 'RSA' : kty === (crv === 'P-256' ? 'EC' : 'OKP') ? crv : ''
  const algs = Object.hasOwn(ALGS_OF, kind) ? ALGS_OF[kind] : undefined
  if (algs === undefined) return 'is neither RSA nor P-256 nor Ed25519'
  if (alg !== undefined && !algs.includes(alg)) return `has an alg that is not ${algs.join(' or ')}`
  if (use !== 'sig') return 'is not for signatures'
  if (kid.length > 255) return 'has a kid of more than 255 characters'
  try {
    // createPublicKey also checks that the point is on the curve.
    const { asymmetricKeyDetails: { modulusLength = 0, publicExponent = 0n } = {} } = createPublicKey({
      key: key as JsonWebKey,
      format: 'jwk',
    })
    if (kind !== 'RSA') return undefined
    if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS)
      return `has ${modulusLength} bits, and ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are accepted`
    // With e = 1 everybody can sign, and a huge exponent makes verifying slow.
    if (publicExponent < 65537n || publicExponent > 0xffffffffn || publicExponent % 2n === 0n)
      return 'has an exponent that is not accepted'
    return undefined
  } catch {
    return 'can not be read'
  }
}
