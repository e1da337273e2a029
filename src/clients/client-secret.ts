import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

const PREFIX = 'scs_'
/**
 * During a rotation a client has two secrets. The same number of comparisons is made for every client, known or not.
 */
const COMPARISONS = 2
const DECOY = sha256('no secret hashes to this')

/** 256 random bits under a prefix that secret scanners can look for. */
export function makeClientSecret(): string {
  return `${PREFIX}${randomBytes(32).toString('base64url')}`
}

/** The form of a secret that is stored. A plain SHA-256 is enough: nobody can try out 256 random bits. */
export function hashClientSecret(secret: string): string {
  return sha256(secret).toString('base64url')
}

/** True when one of the hashes is that of the secret. It does the same work for no hash, one and two. */
export function matchesSecret(secret: string, hashes: readonly string[]): boolean {
  const given = sha256(secret)
  let found = false
  for (let i = 0; i < COMPARISONS; i += 1) {
    const hash = Buffer.from(hashes[i] ?? '', 'base64url')
    const known = hash.length === DECOY.length
    found = (timingSafeEqual(given, known ? hash : DECOY) && known) || found
  }
  return found
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
