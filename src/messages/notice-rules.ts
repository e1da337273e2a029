import type { AuditEvent } from '../audit/audit.ts'
import type { NoticeName } from '../config/message-settings.ts'

/**
 * Which audit events owners of accounts are told of, and how often.
 *
 * Each group has its own number of notices an hour, for one account and over all kinds in it. So what an attacker can
 * cause many times never takes the place of what he would like to hide: a new password or address. Together the groups
 * bound what a mailbox gets: eight notices an hour.
 */
export const NOTICE_GROUPS = {
  /** Needs no session: a password, right or wrong, is enough. */
  outside: { mostPerHour: 3 },
  /** Needs a session, or an admin. */
  session: { mostPerHour: 2 },
  /** What a thief does to keep an account. */
  takeover: { mostPerHour: 3 },
} as const
export type NoticeGroup = keyof typeof NOTICE_GROUPS

export interface NoticeRule {
  readonly events: readonly AuditEvent[]
  readonly group: NoticeGroup
}

export const NOTICE_RULES: Readonly<Record<NoticeName, NoticeRule>> = {
  login: { events: ['login_succeeded'], group: 'outside' },
  wrong_passwords: {
    events: ['login_throttled', 'password_change_throttled', 'reauthentication_throttled', 'email_change_throttled'],
    group: 'outside',
  },
  session_ended: { events: ['refresh_token_reused'], group: 'session' },
  account_status: { events: ['account_suspended', 'account_activated'], group: 'session' },
  password_changed: { events: ['password_changed', 'password_recovered', 'password_set'], group: 'takeover' },
  email_changed: { events: ['email_changed'], group: 'takeover' },
}

/** The window of all limits of notices. */
export const NOTICE_WINDOW_SECONDS = 3600

/**
 * Rows of one group that are written for an account within an hour, whether or not they become messages: the work that
 * one account can cause has a bound. Most logins are no news, so it is far above `mostPerHour`.
 */
export const MOST_CAUSED_PER_HOUR = 30

/** The kind of notice that an event leads to, if it leads to one. */
export function noticeOf(event: string): NoticeName | undefined {
  const found = Object.entries(NOTICE_RULES).find(([, { events }]) => events.some((name) => name === event))
  return found?.[0] as NoticeName | undefined
}

/** Every event that leads to a notice of this group. */
export function eventsOf(group: NoticeGroup): AuditEvent[] {
  return Object.values(NOTICE_RULES).flatMap((rule) => (rule.group === group ? rule.events : []))
}
