/**
 * Getting back in: what a link or a code in a message allows, once. A forgotten password, the confirmation of an
 * address, an invitation, and the way back after a change of address. How messages leave belongs to `messages/`, what a
 * login and a session are to `sessions/`.
 */

import { createHash, createHmac, hkdfSync, randomBytes, randomInt } from 'node:crypto'
import { randomId } from '../ids.ts'
import { type RefreshKey, refreshKeyAt } from '../keys/refresh-keys.ts'

const MINUTE_SECONDS = 60
const DAY_SECONDS = 86_400

/** What a one-time token is for, and how long it is good, in seconds. */
export const LIFETIME_SECONDS = {
  recovery: 15 * MINUTE_SECONDS,
  invitation: 7 * DAY_SECONDS,
  registration: DAY_SECONDS,
  email_change: 15 * MINUTE_SECONDS,
  email_change_undo: 7 * DAY_SECONDS,
  not_me: 7 * DAY_SECONDS,
} as const
export type Purpose = keyof typeof LIFETIME_SECONDS

/** A code may be tried so often. Then only the link of its message works. */
export const MAX_CODE_TRIES = 10

/**
 * Digits and capital letters without those that look alike: no 0 and O, no 1, I and L, no U beside V. 30 characters, so
 * 39 bits in all.
 */
const CODE_ALPHABET = '23456789ABCDEFGHJKMNPQRSTVWXYZ'
const CODE_LENGTH = 8

/** A row of `one_time_tokens`. Token and code themselves are not in it. */
export interface OneTimeToken {
  readonly id: string
  readonly purpose: Purpose
  readonly accountId: string
  /** The address that the message went to. For `email_change_undo`: the address to which the way leads back. */
  readonly email: string
  /** What `bindingOf` said when it was made. */
  readonly boundTo: string
  readonly tokenHash: string
  readonly codeHash: string | null
  /** Epoch seconds, like `expiresAt`. */
  readonly createdAt: number
  readonly expiresAt: number
}

export interface Minted {
  readonly row: OneTimeToken
  /** For the link of the message. */
  readonly token: string
  /** For people who type it: `K7QX-29MD`. */
  readonly code: string
}

/**
 * Makes a token of 256 random bits and a code. Neither is stored.
 *
 * @param by.id of the row. Default: a random one
 * @param by.boundTo see `bindingOf`
 * @param by.keys of which the one in use at `now` protects the code
 */
export function mintOneTimeToken(by: {
  id?: string
  purpose: Purpose
  accountId: string
  email: string
  boundTo: string
  keys: readonly RefreshKey[]
  now: number
}): Minted {
  const { id = randomId(), purpose, accountId, email, boundTo, keys, now } = by
  const key = refreshKeyAt(keys, now)
  if (key === undefined) throw new TypeError('mintOneTimeToken: there is no refresh key')
  const token = `sot_${randomBytes(32).toString('base64url')}`
  const code = Array.from({ length: CODE_LENGTH }, () => CODE_ALPHABET[randomInt(CODE_ALPHABET.length)]).join('')
  const row = {
    id,
    purpose,
    accountId,
    email,
    boundTo,
    tokenHash: tokenHashOf(token),
    codeHash: codeHash(key, email, code),
    createdAt: now,
    expiresAt: now + LIFETIME_SECONDS[purpose],
  }
  return { row, token, code: `${code.slice(0, 4)}-${code.slice(4)}` }
}

/** A token has 256 random bits, so a fast hash without a salt is enough. */
export function tokenHashOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/**
 * What ties a token to the password and the address for which it was made: after a change of either it is worthless.
 */
export function bindingOf({ passwordHash, email }: { passwordHash: string; email: string }): string {
  return createHash('sha256')
    .update(JSON.stringify([passwordHash, email]))
    .digest('base64url')
}

/**
 * A code as it is compared: capital letters, without the spaces and dashes that people type.
 *
 * @returns undefined for what can't be a code
 */
export function normaliseCode(typed: string): string | undefined {
  const code = typed.replace(/[\s-]/g, '').toUpperCase()
  return code.length === CODE_LENGTH && [...code].every((one) => CODE_ALPHABET.includes(one)) ? code : undefined
}

/** Keys of more rotations than these have made no code that is still good. */
const MOST_KEYS = 4

/**
 * What may stand in a row for this code: one hash for each key that may have made it. A code has too few bits for a
 * plain hash, so each is an HMAC under the keys folder: a copy of the database is not enough to find it.
 */
export function codeHashesOf(keys: readonly RefreshKey[], email: string, typed: string): string[] {
  const code = normaliseCode(typed)
  // What is no code gets the same work, and hashes that are in no row.
  const sought = code ?? 'no code'
  const latest = keys.toSorted((a, b) => b.signFrom - a.signFrom).slice(0, MOST_KEYS)
  return latest.map((key) => codeHash(key, email, sought))
}

function codeHash({ id, secret }: RefreshKey, email: string, code: string): string {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'signet one-time codes', 32))
  return `${id}.${createHmac('sha256', key)
    .update(JSON.stringify([email, code]))
    .digest('base64url')}`
}
