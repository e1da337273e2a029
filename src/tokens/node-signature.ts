import { createPublicKey, verify } from 'node:crypto'
import { AppError } from '../errors/app-error.ts'
import { memoizePerKey } from './memoize-per-key.ts'
import type { VerifySignature } from './verify.ts'

/**
 * Verifies an RS256 signature with node:crypto alone. The verifier has checked everything else before (canonical parts,
 * `alg` RS256, a known key) and checks every claim afterwards.
 *
 * @returns a function that returns the payload and throws AppError `invalid_token`
 */
export function createNodeSignature(): VerifySignature {
  const keyOf = memoizePerKey(createPublicKey)
  return (token, pem) => {
    const [start, end] = [token.indexOf('.') + 1, token.lastIndexOf('.')]
    // Canonical base64url is ASCII, so its Latin-1 bytes are its characters.
    const signature = Buffer.from(token.slice(end + 1), 'base64url')
    if (!verify('sha256', Buffer.from(token.slice(0, end), 'latin1'), keyOf(pem), signature))
      throw new AppError('invalid_token', { reason: 'the signature does not match the key', refusal: 'signature' })
    try {
      return JSON.parse(Buffer.from(token.slice(start, end), 'base64url').toString())
    } catch {
      throw new AppError('invalid_token', { reason: 'the payload is not JSON', refusal: 'malformed' })
    }
  }
}
