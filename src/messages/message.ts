/**
 * Messages to people: what causes one, the outbox in which it waits, its text, and how it leaves. What a message is
 * for, and what its token allows, is decided by the folders above (`recovery/`).
 */

import type { Statement } from '../db/database.ts'
import type { OnlyIf } from '../db/only-if.ts'

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

/**
 * Events that a `notice` tells of. Each has a text of its own, `notice-<event>`. The first four carry the link of "this
 * was not me".
 */
export const NOTICE_EVENTS = [
  'login',
  'password_changed',
  'email_changed',
  'session_ended',
  'account_suspended',
  'account_activated',
  'wrong_passwords',
] as const
export type NoticeEvent = (typeof NOTICE_EVENTS)[number]

/** The name of a text: the kind, or for notices `notice-<event>`. */
export type TextName = Exclude<MessageKind, 'notice'> | `notice-${NoticeEvent}`

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

/** A message as the sender finds it in the outbox, before it is composed. */
export interface Caused {
  /** Of the row. Something made for this message can be named by it. */
  readonly id: string
  readonly kind: MessageKind
  readonly accountId: string | null
  readonly auditId: string | null
  /** Epoch seconds. */
  readonly createdAt: number
  /** Empty when the cause gave none. */
  readonly facts: Facts
}

/**
 * What a composer makes of it: the message's address and the values of its text, or `drop` when nobody is to get it,
 * with what is committed then: the audit row of a refusal.
 */
export type Composed =
  | {
      readonly to: string
      /** A BCP 47 tag, or the value of an `Accept-Language` header: the sender finds the language that it has. */
      readonly language: string
      /** Which text. Default: the kind. A notice must say its event. */
      readonly text?: TextName
      /**
       * The values of the text's placeholders: `TEXTS` in `texts.ts` has their names. `when` and `until` are epoch
       * seconds; the sender writes them as the language does. An empty value is shown as a dash.
       */
      readonly data: Facts
      /** They are committed together with the composed message, or not at all: the row of a one-time token. */
      readonly statements: readonly Statement[]
    }
  | 'drop'
  | { readonly drop: readonly Statement[] }

/** A message that somebody is to get. */
export type ComposedLetter = Extract<Composed, { readonly to: string }>

/**
 * Composes the messages of one kind. It reads, and changes nothing by itself: what it changes are the statements that
 * it returns. When it throws, the message is tried again later.
 *
 * @param now epoch seconds
 */
export type Compose = (caused: Caused, now: number) => Promise<Composed>

/** A message of a kind without a composer can't be sent: it becomes a dead letter. */
export type Composers = Readonly<Partial<Record<MessageKind, Compose>>>

/** A message that can be delivered. Every attempt has the same one. */
export interface Letter {
  /**
   * The id of the row, `@`, and the host of the sender (RFC 5322 section 3.6.4). Receivers tell duplicates apart by it.
   */
  readonly messageId: string
  readonly to: string
  readonly subject: string
  readonly text: string
  /** Empty when the text has no HTML. */
  readonly html: string
  /** A BCP 47 tag: the language that the text is in. */
  readonly language: string
  readonly kind: MessageKind
  /** The values of the placeholders, for a webhook that has texts of its own. */
  readonly data: Facts
  /** When it was composed, epoch seconds. */
  readonly date: number
}

/**
 * Makes the statement that puts a message into the outbox, for the transaction of what causes it.
 *
 * @returns no statement when this server sends no messages
 */
export type Enqueue = (message: NewMessage, now: number, onlyIf?: OnlyIf) => Promise<readonly Statement[]>
