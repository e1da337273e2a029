import type { NoticeName } from '../config/message-settings.ts'
import type { Database } from '../db/database.ts'
import type { RefreshKey } from '../keys/refresh-keys.ts'
import type { Compose, ComposedLetter } from '../messages/message.ts'
import { noticeOf } from '../messages/notice-rules.ts'
import { clientName } from './client-name.ts'
import { isNewLogin, type LoginSource } from './new-login.ts'
import { createNoticeLimits } from './notice-limits.ts'
import { createNoticeStore, type NoticedEvent } from './notice-store.ts'
import { mintOneTimeToken } from './one-time-token.ts'
import { storeToken } from './one-time-token-store.ts'

interface Parts {
  readonly database: Pick<Database, 'query'>
  /** What owners are told of: the setting NOTICES. */
  readonly notices: readonly string[]
  readonly keys: () => readonly RefreshKey[]
  /** The page of the application for "this was not me". */
  readonly linkOf: (token: string) => string
}

/**
 * Composes the notices to owners: what happened, when, from where, and with what client. It drops what is no news, what
 * is switched off by now, and what is too many for one account.
 */
export function createComposeNotice({ database, notices, keys, linkOf }: Parts): Compose {
  const store = createNoticeStore(database)
  const isWithinLimits = createNoticeLimits()

  const write = (event: NoticedEvent, name: NoticeName, now: number): ComposedLetter => {
    const { id: accountId, email, locale } = event.account
    const letter = { to: email, language: locale ?? '', statements: [] }
    const data = { when: String(event.at), where: whereOf(event), client: clientOf(event) }
    if (name === 'account_status') {
      const text = event.event === 'account_suspended' ? 'notice-account_suspended' : 'notice-account_activated'
      return { ...letter, text, data }
    }
    if (name === 'wrong_passwords') return { ...letter, text: `notice-${name}`, data }
    const asked = { purpose: 'not_me', accountId, email, boundTo: '', keys: keys(), now } as const
    const { token, row } = mintOneTimeToken(asked)
    const wayBack = { link: linkOf(token), token, until: String(row.expiresAt) }
    const statements = storeToken({ ...row, codeHash: null })
    return { ...letter, text: `notice-${name}`, data: { ...data, ...wayBack }, statements }
  }

  return async ({ id, auditId }, now) => {
    const event = auditId === null ? undefined : await store.event(auditId)
    const name = event && noticeOf(event.event)
    if (event === undefined || name === undefined || !notices.includes(name) || !event.account.isUsable) return 'drop'
    if (name === 'login' && !isNewLogin(event, await store.historyBefore(event))) return 'drop'
    const told = await store.toldWithinHour(event.account.id, event.at)
    if (!isWithinLimits(event.account.id, { message: id, event: event.event, at: event.at }, told)) return 'drop'
    return write(event, name, now)
  }
}

/** Both sides, when there are two: nobody knows which of them is the thief. */
function sidesOf(event: NoticedEvent, shown: (side: LoginSource) => string): string {
  if (event.byAdmin) return ''
  const sides = [event, ...(event.other ? [event.other] : [])].map(shown)
  return [...new Set(sides)].filter((side) => side !== '').join(' / ')
}

const whereOf = (event: NoticedEvent) => sidesOf(event, ({ ip }) => ip ?? '')
const clientOf = (event: NoticedEvent) => sidesOf(event, ({ userAgent }) => clientName(userAgent))
