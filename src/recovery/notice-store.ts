import type { Database, Row, SqlValue } from '../db/database.ts'
import { NOTICE_WINDOW_SECONDS } from '../messages/notice-rules.ts'
import type { LoginHistory, LoginSource } from './new-login.ts'

/** What a notice is about, and the account that it goes to. */
export interface NoticedEvent extends LoginSource {
  readonly id: string
  readonly event: string
  /** Epoch seconds, like `createdAt`. */
  readonly at: number
  /** True when an admin did it: where he was is not the owner's business. */
  readonly byAdmin: boolean
  /** The other side, when the event has two: where a copied refresh token was used before. */
  readonly other: LoginSource | undefined
  readonly account: {
    readonly id: string
    readonly email: string
    readonly locale: string | null
    readonly createdAt: number
    /** False for an account whose address was never confirmed, and has to be: it may be somebody else's address. */
    readonly isUsable: boolean
  }
}

export interface NoticeStore {
  /** @returns undefined when the event or its account is gone */
  event(auditId: string): Promise<NoticedEvent | undefined>
  /** What was known of the account when somebody logged in. */
  historyBefore(login: NoticedEvent): Promise<LoginHistory>
  /**
   * The notices of an account that were composed, of those that were caused within an hour before.
   *
   * @param before epoch seconds
   */
  toldWithinHour(accountId: string, before: number): Promise<{ message: string; event: string }[]>
}

/**
 * So many events of an account are read at most. When others fill them (with wrong passwords, for example), the former
 * logins are not found, and a login counts as new: one message too many, and never one too few.
 */
const MAX_EVENTS = 2000

export function createNoticeStore(database: Pick<Database, 'query'>): NoticeStore {
  return {
    async event(auditId) {
      const [row] = await database.query(
        `SELECT e.id, e.event, e.at, e.ip, e.user_agent, e.actor_id, e.detail, a.id AS account_id, a.email,
           a.locale, a.created_at,
           a.awaits_confirmation
         FROM audit_events e JOIN accounts a ON a.id = e.account_id WHERE e.id = $1`,
        [auditId],
      )
      if (row === undefined) return undefined
      return {
        id: String(row.id),
        event: String(row.event),
        at: Number(row.at),
        ip: text(row.ip),
        userAgent: text(row.user_agent),
        byAdmin: row.actor_id !== null,
        other: otherSide(JSON.parse(String(row.detail))),
        account: {
          id: String(row.account_id),
          email: String(row.email),
          locale: text(row.locale),
          createdAt: Number(row.created_at),
          isUsable: Number(row.awaits_confirmation) === 0,
        },
      }
    },

    async historyBefore({ id, at, account }) {
      // Logins are in the order of the time, and within a second in that of the id: of two at once one is the former.
      const rows = await database.query(
        `SELECT event, ip, user_agent, at_once, MIN(at) AS first, MAX(at) AS last FROM (
           SELECT at, event, ip, user_agent, CASE WHEN at = $2 AND id > $3 THEN 1 ELSE 0 END AS at_once
           FROM audit_events WHERE account_id = $1 AND at <= $2 AND id <> $3
           ORDER BY at DESC LIMIT ${MAX_EVENTS}) AS recent
         GROUP BY event, ip, user_agent, at_once`,
        [account.id, at, id],
      )
      const disownedAt = Math.max(...rows.filter(({ event }) => event === 'account_disowned').map(lastOf), -1)
      const logins = rows.filter(({ event }) => event === 'login_succeeded')
      const former = logins.filter((row) => Number(row.at_once) === 0)
      const reachesBack = rows.some(({ first }) => Number(first) <= account.createdAt)
      return {
        logins: former.filter((row) => lastOf(row) > disownedAt).map(sourceOf),
        atOnce: logins.filter((row) => Number(row.at_once) === 1).map(sourceOf),
        isFirst: former.length === 0 && reachesBack,
      }
    },

    async toldWithinHour(accountId, before) {
      const rows = await database.query(
        `SELECT o.id, e.event FROM outbox o JOIN audit_events e ON e.id = o.audit_id
         WHERE o.account_id = $1 AND o.created_at > $2 AND o.kind = 'notice'
           AND o.state IN ('composed', 'sent', 'dead')`,
        [accountId, before - NOTICE_WINDOW_SECONDS],
      )
      return rows.map(({ id, event }) => ({ message: String(id), event: String(event) }))
    },
  }
}

function otherSide(detail: { last_ip?: string | null; last_user_agent?: string | null }): LoginSource | undefined {
  const { last_ip: ip, last_user_agent: userAgent } = detail
  return ip === undefined || userAgent === undefined ? undefined : { ip, userAgent }
}

const lastOf = ({ last }: { last?: SqlValue }) => Number(last)
const sourceOf = (row: Row): LoginSource => ({ ip: text(row.ip), userAgent: text(row.user_agent) })
const text = (value: SqlValue | undefined): string | null => (value == null ? null : String(value))
