import { OAuthError } from '../errors/oauth-error.ts'
import { formDecoded } from '../http/form-decoded.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** The only parameter that may occur more than once (RFC 8707 section 2). */
const LIST = 'resource'

/**
 * Reads `application/x-www-form-urlencoded` as RFC 6749 section 3.1 and appendix B require: strict UTF-8, no parameter
 * twice, and a parameter without a value counts as absent.
 *
 * @param options.asciiOnly for a form that names another charset, as some libraries do: ASCII reads the same in each of
 *   them, and all else could be meant in two ways
 * @returns an object without a prototype, because its names come from the sender
 * @throws OAuthError `invalid_request`
 */
export function parseForm(
  bytes: Uint8Array,
  { asciiOnly = false }: { asciiOnly?: boolean } = {},
): Record<string, string | string[]> {
  const form: Record<string, string | string[]> = Object.create(null)
  const seen = new Set<string>()
  for (const pair of decodeUtf8(bytes).split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = storable(equals === -1 ? pair : pair.slice(0, equals))
    const value = equals === -1 ? '' : storable(pair.slice(equals + 1))
    if (seen.has(name) && name !== LIST)
      throw malformed('a parameter is there more than once', 'A parameter is there more than once.')
    seen.add(name)
    if (asciiOnly && !isAscii(`${name}${value}`))
      throw malformed('another charset', 'The body names another charset than UTF-8 and is not all ASCII.')
    if (value === '') continue
    form[name] = name === LIST ? [...(form[name] ?? []), value] : value
  }
  return form
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed('the body is not UTF-8', 'The body is not UTF-8.')
  }
}

function storable(text: string): string {
  const decoded = formDecoded(text)
  if (decoded === undefined)
    throw malformed('the body is not form-urlencoded', 'The body is not form-urlencoded UTF-8.')
  if (decoded.includes('\0')) throw malformed('the body holds a NUL character', 'The body holds a NUL character.')
  return decoded
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

function malformed(reason: string, description: string): OAuthError {
  return new OAuthError('invalid_request', reason, description)
}
