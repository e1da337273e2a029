/**
 * Decodes base64url (RFC 4648 section 5, without padding) in its one canonical spelling: the last character of a text
 * may have bits that no byte uses, and then several texts have the same bytes.
 *
 * @returns undefined for an empty text, a foreign character, or another spelling
 */
export const canonicalBytes: (part: string) => Uint8Array<ArrayBuffer> | undefined = hasNodesBuffer()
  ? byBuffer
  : byAtob

/** The Buffer that bundlers put into browsers and workers does not know base64url: it throws. */
function hasNodesBuffer(): boolean {
  const { Buffer } = globalThis as { Buffer?: { isEncoding?(name: string): boolean } }
  return Buffer?.isEncoding?.('base64url') === true
}

function byBuffer(part: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = Buffer.from(part, 'base64url')
  return part !== '' && bytes.toString('base64url') === part ? bytes : undefined
}

/** For runtimes that have no Buffer. Exported for the test that compares both. */
export function byAtob(part: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(part) || part.length % 4 === 1) return undefined // atob would take white space and `=`
  const binary = atob(part.replaceAll('-', '+').replaceAll('_', '/'))
  if (base64urlOfBinary(binary) !== part) return undefined
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i)
  return bytes
}

/** @param bytes few: they are spread over the arguments of a call */
export function base64url(bytes: Uint8Array): string {
  return base64urlOfBinary(String.fromCharCode(...bytes))
}

function base64urlOfBinary(binary: string): string {
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}
