import { isIP } from 'node:net'
import { FormatRegistry } from '@sinclair/typebox'

export const MAX_WORKERS = 64

/** Makes the formats of `settings.ts` known to TypeBox, which checks them by name. */
export function registerSettingFormats(): void {
  FormatRegistry.Set('issuer', isIssuer)
  FormatRegistry.Set('origin', isOrigin)
  FormatRegistry.Set('proxy', isProxyAddress)
  FormatRegistry.Set('database-url', isDatabaseUrl)
  FormatRegistry.Set('workers', isWorkers)
  FormatRegistry.Set('mail-url', isMailUrl)
  FormatRegistry.Set('mail-from', isMailFrom)
  FormatRegistry.Set('link', isLink)
  FormatRegistry.Set('service-scope', isServiceScope)
}

function isIssuer(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    !/[?#\s]/.test(text) &&
    !text.endsWith('/') && // `<issuer>/.well-known/…` would have two slashes
    [text, `${text}/`].includes(url.href) &&
    // The path becomes part of a route, where `*`, `:` and `(` have a meaning of their own.
    /^(\/|(\/[^/*:()]+)+)$/.test(url.pathname)
  )
}

/** A user or password with a `/` that is not percent-encoded makes another host of a part of it. */
function isMailUrl(text: string): boolean {
  if (/^file:[^?#\0]+$/.test(text)) return true
  const url = URL.parse(text)
  if (url === null || url.hostname === '' || url.hash !== '' || !/^[!-~\u0080-\uffff]+$/.test(text)) return false
  if (url.protocol === 'https:') return url.username === '' && url.password === ''
  if (!isPercentEncoded(url.username) || !isPercentEncoded(url.password)) return false
  return /^smtps?:$/.test(url.protocol) && /^\/?$/.test(url.pathname) && url.search === ''
}

/** False for a `%` that stands for itself, and for bytes that are no UTF-8: no message could ever be delivered. */
function isPercentEncoded(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined
  } catch {
    return false
  }
}

/** `address` or `Name <address>`, on one line. */
function isMailFrom(text: string): boolean {
  return /^(?:[^<>@\p{C}]+ <([^<>@\s\p{C}]+@[^<>@\s\p{C}]+)>|[^<>@\s\p{C}]+@[^<>@\s\p{C}]+)$/u.test(text)
}

/** The token stands in the fragment: no server log and no `Referer` gets it. */
function isLink(text: string): boolean {
  const [before = '', fragment, ...rest] = text.split('#')
  if (fragment === undefined || rest.length > 0 || before.includes('{token}')) return false
  if (fragment.split('{token}').length !== 2 || /[\s\p{C}]/u.test(text)) return false
  return (
    (/^\/(?!\/)/.test(before) && URL.canParse(before, 'https://x')) ||
    /^(?:https:|http:)$/.test(URL.parse(before)?.protocol ?? '')
  )
}

/** RFC 6749 section 3.3: scope-token. Names that begin with `signet:` are the server's own, which it names itself. */
function isServiceScope(text: string): boolean {
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text) && !/^signet:/i.test(text)
}

function isWorkers(text: string): boolean {
  return text === 'auto' || (/^[1-9]\d?$/.test(text) && Number(text) <= MAX_WORKERS)
}

function isOrigin(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.origin === text
}

/** Hop counts are refused: Fastify 5.12 trusts no proxy then, and older versions could be spoofed. */
function isProxyAddress(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/**
 * An address with a `/` or an `@` in its path has lost a part of its password to it: `postgres://user:12/34@host/name`
 * is a URL too, and its host would be `user`. A URL also begins without its blanks and loses its line breaks.
 */
function isDatabaseUrl(text: string): boolean {
  // SQLite would read `sqlite:file:…` as a URI, and `sqlite://host/…` as a path from the root.
  if (/^sqlite:(?!file:)(?!\/\/[^/])[^?\0]+$/.test(text)) return true
  const url = URL.parse(text)
  return (
    url !== null &&
    /^postgres(ql)?:\/\/[!-~\u0080-\uffff]+$/.test(text) &&
    url.hostname !== '' &&
    /^\/[^/@]+$/.test(url.pathname)
  )
}

/** True for SQLite, and for a server on this machine: by the loopback network or a Unix socket. */
export function isLocalDatabase(databaseUrl: string): boolean {
  const host = URL.parse(databaseUrl)?.hostname.toLowerCase() ?? ''
  return /^(|localhost|.*\.localhost|127(\.\d{1,3}){3}|\[::1\]|%2f.*)\.?$/.test(host)
}
