import { hkdfSync } from 'node:crypto'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { type RefreshKey, refreshKeyAt } from '../keys/refresh-keys.ts'
import type { Facts } from './message.ts'

// What the outbox holds for a message is encrypted under the keys folder, so that a copy of the database shows neither
// addresses nor tokens. The key is derived from a refresh key (RFC 5869), the text is a JWE (RFC 7516: `dir`, A256GCM)
// that names it. It is bound to its row: the text of one message can't be put into another.

/**
 * @param id the row's id
 * @returns a compact JWE
 */
export function seal(keys: readonly RefreshKey[], now: number, id: string, facts: Facts): Promise<string> {
  const key = refreshKeyAt(keys, now)
  if (key === undefined) throw new TypeError('seal: there is no refresh key')
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(facts)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: key.id, row: id })
    .encrypt(derived(key))
}

/**
 * @returns the facts, or undefined when no key opens them: theirs was revoked, or the text belongs to another row
 */
export async function unseal(keys: readonly RefreshKey[], id: string, sealed: string): Promise<Facts | undefined> {
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(
      sealed,
      ({ kid }) => {
        const key = keys.find((candidate) => candidate.id === kid)
        if (key === undefined) throw new Error('no such key')
        return derived(key)
      },
      { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] },
    )
    return protectedHeader.row === id ? JSON.parse(new TextDecoder().decode(plaintext)) : undefined
  } catch {
    return undefined
  }
}

function derived({ secret }: RefreshKey): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', 'signet outbox', 32))
}
