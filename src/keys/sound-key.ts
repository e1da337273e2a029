import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { OperatorError } from '../errors/app-error.ts'
import { type PublicJwk, publicJwk } from './jwk.ts'

/**
 * The largest key that is made or taken in. A longer signature would leave too little room in a token for its claims.
 */
export const MAX_KEY_BITS = 4096

/**
 * Proves that a private key works: it signs, and its public half verifies that.
 *
 * @returns the public half
 * @throws OperatorError for a key that can't sign RS256, or signs what nobody can verify
 */
export function provenPublicJwk(key: KeyObject): PublicJwk {
  const jwk = publicJwk(key)
  const probe = Buffer.from(jwk.kid)
  if (!signsAndVerifies(key, jwk, probe)) {
    throw new OperatorError('the key is damaged: what it signs does not verify', {
      hint: 'take it from a backup again, and check it there: openssl rsa -check -noout -in key.pem',
    })
  }
  return jwk
}

function signsAndVerifies(key: KeyObject, { kty, n, e }: PublicJwk, probe: Buffer): boolean {
  try {
    const publicHalf = createPublicKey({ key: { kty, n, e }, format: 'jwk' })
    return verify('RSA-SHA256', probe, publicHalf, sign('RSA-SHA256', probe, key))
  } catch {
    return false // OpenSSL refuses an even modulus only here
  }
}

/**
 * Checks a key that comes from elsewhere, as strictly as one must who will sign with it for years.
 *
 * @throws OperatorError for more than MAX_KEY_BITS, for parts that do not belong together (RFC 8017 section 3.2;
 *   OpenSSL signs with them nevertheless, by those parts that fit), and as `provenPublicJwk`
 */
export function assertSoundKey(key: KeyObject): void {
  publicJwk(key)
  const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  if (modulusLength > MAX_KEY_BITS)
    throw new OperatorError(`the key has ${modulusLength} bits, and at most ${MAX_KEY_BITS} are possible`, {
      hint: 'a token would be too long for its signature; 2048 bits are enough (NIST SP 800-131A)',
    })
  if (!partsBelongTogether(key)) {
    throw new OperatorError('the key is damaged: its parts do not belong together', {
      hint: 'take it from a backup again, and check it there: openssl rsa -check -noout -in key.pem',
    })
  }
  provenPublicJwk(key)
}

/** RFC 8017 section 3.2, for a key of two primes. */
function partsBelongTogether(key: KeyObject): boolean {
  let parts: Record<string, string>
  try {
    parts = key.export({ format: 'jwk' }) as Record<string, string>
  } catch {
    return false
  }
  const part = (name: string) => BigInt(`0x0${Buffer.from(parts[name] ?? '', 'base64url').toString('hex')}`)
  const [n, e, d, p, q, dp, dq, qi] = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'].map(part) as [
    ...[bigint, bigint, bigint, bigint],
    ...[bigint, bigint, bigint, bigint],
  ]
  if (p < 3n || q < 3n || p === q || p * q !== n) return false
  return (
    (d * e) % (p - 1n) === 1n &&
    (d * e) % (q - 1n) === 1n &&
    dp === d % (p - 1n) &&
    dq === d % (q - 1n) &&
    (qi * q) % p === 1n
  )
}
