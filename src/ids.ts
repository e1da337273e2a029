import { randomBytes } from 'node:crypto'

/**
 * 128 random bits in base64url (22 characters): as hard to guess as ASVS 11.5.1 asks, which a UUIDv4 (122 bits) is not.
 */
export function randomId(): string {
  return randomBytes(16).toString('base64url')
}
