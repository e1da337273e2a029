import { StoreFailed } from './verifier-store.ts'

/** Of the form of these texts: a verifier ignores those of another one. */
const VERSION = 1
/** The first line of a text is short. */
const MAX_HEAD_CHARACTERS = 8192

/** Whose keys or feed it is: the issuer, and where its answers came from. */
export interface Origin {
  readonly issuer: string
  readonly uri: string
}

/** What is written before what came from the issuer. */
export type Head = Readonly<Record<string, string | number>>

/**
 * The name of a text in a store. It is short and has only letters, digits and hyphens, so that every store takes it.
 * It holds no secret that may stand in a URL. Two origins with one name would do no harm: each text says whose it is.
 */
export function storeName(kind: 'keys' | 'feed', { issuer, uri }: Origin): string {
  return `signet-${kind}-${digest(`${issuer}\n${uri}`)}`
}

/**
 * A text for a store: a line of JSON, and then, to the letter, what came from the issuer.
 *
 * @param head members of the first line; origin, version and length are added
 */
export function writeStored({ issuer, uri }: Origin, head: Head, body: string): string {
  return `${JSON.stringify({ v: VERSION, issuer, uri, ...head, length: body.length })}\n${body}`
}

/**
 * The opposite.
 *
 * @throws StoreFailed for a text that is cut, of another form, or of another origin
 */
export function readStored(text: string, { issuer, uri }: Origin): { head: Record<string, unknown>; body: string } {
  const end = text.slice(0, MAX_HEAD_CHARACTERS).indexOf('\n')
  const head = end === -1 ? undefined : parsedObject(text.slice(0, end))
  if (head === undefined) throw new StoreFailed('what it has is not a text of a verifier')
  if (head.v !== VERSION) throw new StoreFailed('what it has is of another version of this package')
  if (head.issuer !== issuer || head.uri !== uri) throw new StoreFailed('what it has is of another issuer')
  const body = text.slice(end + 1)
  if (head.length !== body.length) throw new StoreFailed('what it has is cut')
  return { head, body }
}

/**
 * Epoch seconds that a text says.
 *
 * @param now epoch seconds
 * @param skew seconds that the clocks of two verifiers may differ
 * @throws StoreFailed for what is no whole number, and for the future
 */
export function storedInstant(value: unknown, now: number, skew: number): number {
  const seconds = storedCount(value)
  if (seconds > now + skew) throw new StoreFailed('what it has is dated in the future')
  return seconds
}

/** @throws StoreFailed for what is no whole number from 0 on */
export function storedCount(value: unknown): number {
  if (!(Number.isSafeInteger(value) && (value as number) >= 0)) throw new StoreFailed('what it has lacks a number')
  return value as number
}

/** An object in JSON; undefined for everything else. */
export function parsedObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** 64 bits of a text in base 36 (FNV-1a, twice): to tell names apart, and for nothing else. */
function digest(text: string): string {
  const half = (basis: number) => {
    let hash = basis
    for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    return (hash >>> 0).toString(36).padStart(7, '0')
  }
  return half(0x811c9dc5) + half(0x1b873593)
}
