/**
 * Messages to people: what causes one, the outbox in which it waits, its text, and how it leaves. What a message is for,
 * and what its token allows, is decided by the folders above (`recovery/`).
 */

import type { Statement } from '../db/database.ts'

/** What a message is about. Each has a text in each language (`texts/<language>/<kind>.txt` and `.html`). */
export const MESSAGE_KINDS = [
  'recovery', // a new password for whoever forgot the old one
  'registration', // confirm the address of a new account
  'registration_repeated', // somebody registered with an address that has an account
  'invitation', // an admin made an account: choose a password
  'email_change', // to the new address: confirm it
  'email_change_notice', // to the old address: with a way back
  'notice', // something happened; the audit event says what
] as const
export type MessageKind = (typeof MESSAGE_KINDS)[number]

/** What a message is made of later. It is stored encrypted. Strings only: it is data for a text, not for a program. */
export type Facts = Readonly<Record<string, string>>

/** A message as its cause writes it into the outbox. */
export interface NewMessage {
  readonly kind: MessageKind
  readonly accountId?: string | undefined
  /** The id of the audit row that the message is about. */
  readonly auditId?: string | undefined
  readonly facts?: Facts
}

/** A message that can be delivered. */
export interface Letter {
  /** The same at every attempt: receivers tell duplicates apart by it (RFC 5322 section 3.6.4). */
  readonly messageId: string
  readonly to: string
  readonly subject: string
  readonly text: string
  readonly html: string
  /** A BCP 47 tag. */
  readonly language: string
  readonly kind: MessageKind
}

/**
 * Makes the statement that puts a message into the outbox, for the transaction of what causes it.
 *
 * @param onlyIf a condition in SQL on what earlier statements of the transaction did, as in `auditRow`
 * @returns no statement when this server sends no messages
 */
export type Enqueue = (
  message: NewMessage,
  now: number,
  onlyIf?: { exists: string; params: readonly (string | number)[] },
) => Promise<readonly Statement[]>
