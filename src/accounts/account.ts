/**
 * Accounts of people: their rows, registration, passwords, roles, and what an admin or the owner may change. Logging in
 * and everything about a session belongs to `sessions/`; machines are `clients/`.
 */

import { createHash } from 'node:crypto'
import { domainToASCII, domainToUnicode } from 'node:url'
import { type Static, Type } from '@sinclair/typebox'
import { toTimestamp } from '../clock.ts'
import type { PageOf } from '../http/paging.ts'
import { Timestamp } from '../http/schemas.ts'

/** The name of a role. Lower case only, so that `Admin` and `admin` can't be two roles. */
export const Role = Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$', description: 'lower-case name' })

/** The roles of one account. Their number is bounded, because they are in every token. */
export const Roles = Type.Array(Role, { maxItems: 16, uniqueItems: true })

/** Nobody deletes the own account longer than this after a login (RFC 9470). */
export const RECENT_LOGIN_SECONDS = 300

/** The language of messages. Intl must take it as a tag, whatever it is. */
export const Locale = Type.String({
  pattern: '^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$',
  description: 'language of messages, a BCP 47 tag',
})

export const Status = Type.Union([Type.Literal('active'), Type.Literal('suspended')])
export type AccountStatus = Static<typeof Status>

/** An account as it is stored. */
export interface Account {
  readonly id: string
  readonly email: string
  readonly passwordHash: string
  readonly status: AccountStatus
  readonly roles: readonly string[]
  /** Grows with every change that makes older tokens stale. */
  readonly tokenVersion: number
  /** Epoch seconds. */
  readonly createdAt: number
  /** When the owner showed that the address is his, epoch seconds. Null: not yet. */
  readonly emailVerifiedAt: number | null
  /** Registered with REGISTRATION=verified, and not confirmed yet: nobody can log in. */
  readonly awaitsConfirmation: boolean
  /** The owner said "this was not me": nobody can log in until a recovery has set another password. */
  readonly needsRecovery: boolean
  /** The language of messages, a BCP 47 tag. Null: none was chosen. */
  readonly locale: string | null
}

/** An account that is to be inserted. */
export type NewAccount = Omit<Account, 'emailVerifiedAt' | 'awaitsConfirmation' | 'needsRecovery' | 'locale'> &
  Partial<Pick<Account, 'emailVerifiedAt' | 'awaitsConfirmation' | 'locale'>>

/** What an admin may change. */
export interface AccountChange {
  readonly status?: AccountStatus | undefined
  readonly roles?: readonly string[] | undefined
  /**
   * Allows that the last admin loses the role or is suspended. Only for the operator's script, which can always make
   * another admin.
   */
  readonly evenLastAdmin?: boolean
  /** The change is made only if the account still has this `tokenVersion`: nobody changed it since it was read. */
  readonly ifVersion?: number
}

/** A page of accounts; with an email, the one account that has it. */
export interface AccountPage extends PageOf {
  readonly email?: string | undefined
}

/** The members of an account that a reply may contain. */
export const AccountReply = Type.Object(
  { id: Type.String(), email: Type.String(), roles: Type.Array(Role), created_at: Timestamp },
  { $id: 'Account', description: 'An account' },
)
export type AccountReply = Static<typeof AccountReply>

/** An account as its owner and admins see it. */
export const AccountWithStatus = Type.Composite([
  AccountReply,
  Type.Object({ status: Status, email_verified: Type.Boolean({ description: 'the owner showed that it is his' }) }),
])
export type AccountWithStatus = Static<typeof AccountWithStatus>

export function withStatus({ id, email, emailVerifiedAt, roles, status, createdAt }: Account): AccountWithStatus {
  const email_verified = emailVerifiedAt !== null
  return { id, email, email_verified, roles: [...roles], status, created_at: toTimestamp(createdAt) }
}

/**
 * The one form in which emails are stored and compared: trimmed, lower case, Unicode NFC, and the domain as the DNS and
 * browsers write it (`user@bücher.example` is `user@xn--bcher-kva.example`, UTS 46). A domain that can't be written
 * like that stays as it is, and `isEmail` refuses it.
 * `normaliseEmail(normaliseEmail(x)) === normaliseEmail(x)`.
 */
export function normaliseEmail(email: string): string {
  const text = asTyped(email)
  const domainAt = text.lastIndexOf('@') + 1
  return `${text.slice(0, domainAt)}${asciiDomain(text.slice(domainAt))}`
}

function asTyped(email: string): string {
  return email.normalize('NFC').toLowerCase().normalize('NFC').trim()
}

/** What `domainToASCII` would take for a part of a URL, or drop without a word: spaces, invisible characters. */
const NO_DOMAIN = /[\s\p{C}\p{Default_Ignorable_Code_Point}%/?#@:\\[\]<>^|]/u

function asciiDomain(domain: string): string {
  if (isAscii(domain) || NO_DOMAIN.test(domain)) return domain
  const ascii = domainToASCII(domain)
  return ascii === '' || /^[\d.]+$/.test(ascii) ? domain : ascii // digits would become an IPv4 address
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length
}

/**
 * Every spelling under which an account may stand in the store, in the order in which to look: as typed, in the one
 * form, and with the domain in Unicode, the form until Signet 0.2. Two only stand there while an operator has not
 * decided about them (`one-email-form-store.ts`), or while a server of before still registers accounts. For nearly all
 * emails it is one.
 */
export function storedSpellings(email: string): readonly string[] {
  const one = normaliseEmail(email)
  const domainAt = one.lastIndexOf('@') + 1
  const domain = one.slice(domainAt)
  if (!/(^|\.)xn--/.test(domain)) return [one]
  return [...new Set([asTyped(email), one, `${one.slice(0, domainAt)}${domainToUnicode(domain)}`])]
}

/**
 * True for a text that can be an email address: one `@`, a local part of at most 64 and a whole of at most 254 UTF-8
 * bytes (RFC 5321 section 4.5.3.1), a domain without empty labels, no spaces and no control characters. Only a message
 * sent to it would prove more.
 */
export function isEmail(normalised: string): boolean {
  const [local = '', domain = '', ...rest] = normalised.split('@')
  if (rest.length > 0 || local === '' || Buffer.byteLength(local) > 64 || Buffer.byteLength(normalised) > 254)
    return false
  if (/[\s\p{C}<>()[\]\\,;:"]/u.test(normalised)) return false
  // Invisible characters and compatibility forms: it would look like another address.
  if (/\p{Default_Ignorable_Code_Point}/u.test(normalised) || normalised.normalize('NFKC') !== normalised) return false
  // A domain that is not in the one form: two texts would be the same address. `xn--` that means nothing stays `xn--`.
  const shown = domainToUnicode(domain)
  if (domainToASCII(shown) !== domain) return false
  return shown.split('.').every((label) => label !== '' && !/^(-|xn--)|-$/.test(label))
}

/**
 * A short key for an email of any length, the same whether an account has it or not: a limit must not tell who has an
 * account.
 */
export function emailKey(email: string): string {
  return createHash('sha256').update(normaliseEmail(email)).digest('base64url').slice(0, 22)
}

/** An address as the audit trail has it: `a…@example.com`. Enough to tell two apart, too little to write to. */
export function maskedEmail(email: string): string {
  const [first = ''] = email
  return `${first}…${email.slice(email.lastIndexOf('@'))}`
}

/** The `detail` of an audit event that changes an address, or asks for it. */
export const emailsOf = (to: string, before: string) => ({
  email: maskedEmail(to),
  email_before: maskedEmail(before),
})
