import { AppError } from '../errors/app-error.ts'
import type { Refusal } from '../errors/refusals.ts'
import { canonicalBytes } from './base64url.ts'
import { ACCESS_TOKEN_TYPE, MAX_TOKEN_LENGTH } from './claims.ts'

const BEARER = /^bearer +/i
const HEADER_MEMBERS = ['alg', 'kid', 'typ']
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The value of the one Authorization header line. Node keeps the first of several lines silently, so the raw list is
 * read.
 *
 * @param rawHeaders names and values in turn, as received
 * @returns the value, or undefined when there is no such line
 * @throws AppError `invalid_request` for two lines or more (RFC 6750 section 3.1: more than one credential)
 */
export function authorizationLine(rawHeaders: readonly string[]): string | undefined {
  let found: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== 13 || name.toLowerCase() !== 'authorization') continue
    if (found !== undefined) throw repeated()
    found = rawHeaders[i + 1] as string
  }
  return found
}

/**
 * The token of a Bearer credential (RFC 6750 section 2.1; the scheme in any case, RFC 9110 section 11.1).
 *
 * @throws AppError `missing_token` for another scheme, `invalid_token` for Bearer with anything but one token
 */
export function bearerToken(authorization: string): string {
  // Before the cache sees it: a token cut out of a longer line would keep all of that line in memory.
  if (authorization.length > MAX_TOKEN_LENGTH + 16) throw refused('malformed', 'the Authorization header is too long')
  const scheme = BEARER.exec(authorization)
  if (scheme === null) {
    const bare = /^bearer\s*$/i.test(authorization)
    throw bare
      ? refused('malformed', 'Bearer without a token')
      : new AppError('missing_token', { reason: 'the Authorization scheme is not Bearer', refusal: 'token_missing' })
  }
  return authorization.slice(scheme[0].length)
}

/** What is read of a request: of `node:http`, of a framework on it, of an adapter for functions, or of a mock. */
export interface RequestHeaders {
  /** Names and values in turn, as received. They decide where there are any. */
  readonly rawHeaders?: readonly string[] | undefined
  /** Values by name, the names in any case; or the `Headers` of a Fetch request. */
  readonly headers?: object | undefined
}

/**
 * The one token of a request (RFC 6750 section 2.1): from its Authorization header and from nowhere else.
 *
 * @throws AppError `missing_token`, `invalid_request`, `invalid_token`
 */
export function requestToken({ rawHeaders, headers }: RequestHeaders): string {
  const isRaw = Array.isArray(rawHeaders) && rawHeaders.length > 0
  const line = !isRaw && isFetch(headers) ? fetchLine(headers) : authorizationLine(isRaw ? rawHeaders : lines(headers))
  if (typeof line !== 'string') throw new AppError('missing_token', { refusal: 'token_missing' })
  return bearerToken(line)
}

/**
 * Headers as names and values in turn. Adapters such as serverless-http, and mocks, leave `rawHeaders` out or empty.
 */
function lines(headers: object | undefined): string[] {
  const { entries } = (headers ?? {}) as { entries?: unknown }
  const isIterable = typeof entries === 'function'
  const pairs: Iterable<[unknown, unknown]> = isIterable ? entries.call(headers) : Object.entries(headers ?? {})
  const lines: unknown[] = []
  for (const [name, value] of pairs)
    if (typeof name === 'string' && value !== undefined) for (const one of [value].flat()) lines.push(name, one)
  return lines as string[]
}

/** Not `instanceof`: an edge runtime has several such classes. */
function isFetch(headers: object | undefined): headers is Headers {
  return Object.prototype.toString.call(headers) === '[object Headers]'
}

/**
 * The Authorization line of a Fetch request, which has several lines as one, joined by commas. No Bearer credential has
 * a comma in it. Some runtimes keep white space at the end, which is no part of the value (RFC 9110 section 5.5).
 */
function fetchLine(headers: Headers): string | undefined {
  const line = withoutSpaceAtEnd(headers.get('authorization') ?? undefined)
  if (line?.includes(',') && /(^|,)\s*bearer\b/i.test(line)) throw repeated()
  return line
}

/** Not by a regular expression: before a long line of spaces it would take minutes, and here no length is known yet. */
function withoutSpaceAtEnd(line: string | undefined): string | undefined {
  let end = line?.length ?? 0
  while (line?.[end - 1] === ' ' || line?.[end - 1] === '\t') end -= 1
  return line?.slice(0, end)
}

function repeated(): AppError {
  const reason = 'the request has two Authorization headers'
  return new AppError('invalid_request', { reason, refusal: 'token_repeated' })
}

/**
 * Everything about the text and the header of a token that needs no key: three canonical base64url parts, and a header
 * that holds `alg`, `kid` and `typ` and nothing else. That alone settles `crit`, `b64`, `jwk`, `jku`, `x5u`, `x5c` and
 * `zip` (RFC 8725 sections 3.1, 3.10, 3.11; RFC 9068 section 4).
 *
 * @param expectedTyp lower case, without `application/`; null for any, also none
 * @returns the unverified `kid`
 * @throws AppError `invalid_token`
 */
export function checkHeader(
  token: string,
  expectedTyp: string | null = ACCESS_TOKEN_TYPE,
  maxLength = MAX_TOKEN_LENGTH,
): string {
  if (token.length > maxLength) throw refused('malformed', 'the token is too long')
  // At most four parts: a feed may be 64 MB long, and as many dots would become as many strings.
  const [header = '', payload = '', signature = '', ...rest] = token.split('.', 4)
  if (rest.length > 0) throw refused('malformed', 'the token has more than three parts')
  if (header.length > MAX_TOKEN_LENGTH) throw refused('malformed', 'the header is too long')
  // Fifteen other spellings of every 2048-bit signature verify too, so a token's text is an identity only when
  // canonical.
  const headerBytes = canonical(header)
  const payloadBytes = canonical(payload)
  canonical(signature)

  const unverifiedHeader = parseObject(headerBytes)
  // RFC 8725 section 3.7: Node would replace bytes that are not UTF-8 by U+FFFD, and two subjects could become one.
  if (textOf(payloadBytes) === undefined) throw refused('malformed', 'the payload is not UTF-8')
  for (const member of Object.keys(unverifiedHeader)) {
    if (!HEADER_MEMBERS.includes(member))
      throw refused('malformed', 'the header has a member other than alg, kid and typ')
  }
  const { alg, kid, typ } = unverifiedHeader
  if (alg !== 'RS256') throw refused('alg', 'alg is not RS256')
  if (expectedTyp !== null && !isTyp(typ, expectedTyp)) throw refused('typ', `typ is not ${expectedTyp}`)
  if (typeof kid !== 'string' || kid === '') throw refused('malformed', 'kid is not a string, or is empty')
  return kid
}

/** RFC 7515 section 4.1.9: a media type, in any case, whose `application/` may be left out. */
function isTyp(typ: unknown, expected: string): boolean {
  return typeof typ === 'string' && normalisedTyp(typ) === expected
}

function canonical(part: string): Uint8Array {
  const bytes = canonicalBytes(part)
  if (bytes === undefined) throw refused('malformed', 'a part of the token is not canonical base64url')
  return bytes
}

/** @returns undefined for bytes that are not UTF-8 */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch {
    throw refused('malformed', 'the header is not JSON in UTF-8')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused('malformed', 'the header is not a JSON object')
  return value as Record<string, unknown>
}

function refused(refusal: Refusal, reason: string): AppError {
  return new AppError('invalid_token', { reason, refusal })
}

/**
 * `typ` in the form in which it is compared: lower case, without `application/`, which may be left out (RFC 7515
 * section 4.1.9).
 */
export function normalisedTyp(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}
