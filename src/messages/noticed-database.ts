import { type AuditRow, isAuditRow } from '../audit/audit-store.ts'
import type { NoticeName } from '../config/message-settings.ts'
import type { Database, Statement } from '../db/database.ts'
import type { Enqueue } from './message.ts'
import { eventsOf, MOST_CAUSED_PER_HOUR, NOTICE_RULES, NOTICE_WINDOW_SECONDS, noticeOf } from './notice-rules.ts'

/**
 * The same database, but audit rows of certain events also put a notice to the owner of the account into the outbox, in
 * their transaction. Nobody can write such a row and forget the notice. An event that was rolled back, or whose
 * condition was not met, leads to none.
 *
 * @param options.notices what owners are told of: the setting NOTICES
 */
export function noticedDatabase(
  database: Database,
  { enqueue, notices }: { enqueue: Enqueue; notices: readonly string[] },
): Database {
  const noticesOf = async (row: AuditRow): Promise<readonly Statement[]> => {
    const name = noticeOf(row.entry.event)
    if (name === undefined || !notices.includes(name)) return []
    const message = { kind: 'notice', accountId: row.entry.accountId ?? NO_ACCOUNT, auditId: row.id } as const
    return enqueue(message, row.at, condition(name, row))
  }
  return {
    engine: database.engine,
    query: (sql, params) => database.query(sql, params),
    async transaction(statements, notify) {
      const caused = await Promise.all(statements.filter(isAuditRow).map(noticesOf))
      const results = await database.transaction([...statements, ...caused.flat()], notify)
      return results.slice(0, statements.length) // callers know the results by their position
    },
    listen: (channel, onChange) => database.listen(channel, onChange),
    waiting: () => database.waiting(),
    close: () => database.close(),
  }
}

/**
 * For wrong passwords of an email that has no account. The statement runs, and inserts nothing: otherwise the answer
 * would take longer for an account that exists.
 */
const NO_ACCOUNT = ''

/** Logins of an account that are compared at once. What is not among them is compared when the notice is made. */
const RECENT_EVENTS = 50

type Condition = NonNullable<Parameters<Enqueue>[2]>

function condition(name: NoticeName, { id, at, entry }: AuditRow): Condition {
  const { accountId = NO_ACCOUNT, source } = entry
  const base = `SELECT 1 FROM audit_events WHERE id = $1 AND CAST($2 AS TEXT) <> '' AND ${fewer(name)}`
  const params = [id, accountId, at - NOTICE_WINDOW_SECONDS]
  if (name === 'wrong_passwords') return { exists: `${base} AND ${FIRST_WRONG_PASSWORDS}`, params }
  if (name !== 'login') return { exists: base, params }
  return { exists: `${base} AND ${NOT_AS_BEFORE}`, params: [...params, at, source.ip ?? '', source.userAgent ?? ''] }
}

// Parameters: $1 the audit row, $2 the account, $3 the beginning of the hour; for a login also $4 its time, $5 its
// address, $6 its user agent.

const noticesOfHour = (events: readonly string[]) =>
  `SELECT outbox.id FROM outbox JOIN audit_events AS cause ON cause.id = outbox.audit_id
   WHERE outbox.account_id = $2 AND outbox.created_at > $3 AND outbox.kind = 'notice'
     AND cause.event IN (${events.map((event) => `'${event}'`).join(', ')})`

const fewer = (name: NoticeName) => {
  const counted = `${noticesOfHour(eventsOf(NOTICE_RULES[name].group))} LIMIT ${MOST_CAUSED_PER_HOUR}`
  return `(SELECT COUNT(*) FROM (${counted}) AS caused) < ${MOST_CAUSED_PER_HOUR}`
}

const FIRST_WRONG_PASSWORDS = `NOT EXISTS (${noticesOfHour(NOTICE_RULES.wrong_passwords.events)})`

/**
 * No recent login came from the same address with the same user agent. Most logins end here. Two at once do not count
 * each other: of rows of one second the lower id is the former one. A login from before "this was not me" does not
 * count, because it may have been the thief's.
 */
const NOT_AS_BEFORE = `NOT EXISTS (
  WITH recent AS (SELECT at, event, ip, user_agent FROM audit_events
    WHERE account_id = $2 AND at <= $4 AND (at < $4 OR id < $1) ORDER BY at DESC LIMIT ${RECENT_EVENTS})
  SELECT 1 FROM recent WHERE event = 'login_succeeded' AND ip = $5 AND user_agent = $6
    AND at > (SELECT COALESCE(MAX(at), -1) FROM recent WHERE event = 'account_disowned'))`
