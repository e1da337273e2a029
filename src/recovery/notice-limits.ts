import { LruMap } from 'toad-cache'
import {
  NOTICE_GROUPS,
  NOTICE_RULES,
  NOTICE_WINDOW_SECONDS,
  type NoticeGroup,
  noticeOf,
} from '../messages/notice-rules.ts'

/** A notice that was composed, or is about to be. */
export interface Told {
  readonly message: string
  readonly event: string
}

/** Accounts whose last notices are remembered. */
const MAX_ACCOUNTS = 10_000

/**
 * Decides whether one more notice goes to an account. The outbox knows what was composed before. What this process is
 * composing at the same moment is not there yet, so it is remembered here. With several servers, each may let through a
 * full hour's number in the same moment.
 *
 * @returns a function that is true when the notice may be sent, and then counts it
 */
export function createNoticeLimits() {
  const letThrough = new LruMap<(Told & { readonly at: number })[]>(MAX_ACCOUNTS)

  return (accountId: string, notice: Told & { readonly at: number }, told: readonly Told[]): boolean => {
    const here = (letThrough.get(accountId) ?? []).filter(({ at }) => at > notice.at - NOTICE_WINDOW_SECONDS)
    const all = new Map([...told, ...here].map((one) => [one.message, one.event]))
    all.delete(notice.message) // composed before, and not committed
    const others = [...all.values()]
    const group = groupOf(notice.event)
    const inGroup = others.filter((event) => groupOf(event) === group).length
    if (group === undefined || inGroup >= NOTICE_GROUPS[group].mostPerHour) return false
    if (isWrongPasswords(notice.event) && others.some(isWrongPasswords)) return false
    letThrough.set(accountId, [...here.filter(({ message }) => message !== notice.message), notice])
    return true
  }
}

function groupOf(event: string): NoticeGroup | undefined {
  const name = noticeOf(event)
  return name && NOTICE_RULES[name].group
}

const isWrongPasswords = (event: string) => noticeOf(event) === 'wrong_passwords'
