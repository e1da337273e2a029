import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Statement } from '../db/database.ts'
import { OperatorError } from '../errors/app-error.ts'
import { randomId } from '../ids.ts'
import { FIRST_PARTY_CLIENT } from '../tokens/issue.ts'
import { numbered } from './history-store.ts'
import { revocationExpiry } from './revocation.ts'
import { lasting, lastingBeyond, REVOCATIONS, UPSERT } from './revocation-store.ts'
import { VERSION_FLOOR } from './version-floor.ts'

// Everybody out is one revocation of the client that all direct logins have, so followers know its kind. Tokens of
// people below a version are refused: the floor.
//
// It goes by version and not by time. Tokens have whole seconds, clocks differ, and a token of a refresh that commits
// before the end is signed after it.
//
// Accounts are not touched: the next login lifts its account to the floor. So the row of the floor is kept for good. A
// server or follower that remembers it for longer than the store needs it must not refuse these logins.

/** Seconds: some of these statements touch every row. */
const WHOLE_STORE_TIMEOUT = 600

/**
 * On PostgreSQL, as the only writer: no login is half done, so each session either is ended here or has a version that
 * is not below the floor. Accounts are locked before sessions, as everywhere.
 */
const ONLY_WRITER: Statement = { sql: 'LOCK TABLE accounts, sessions IN SHARE ROW EXCLUSIVE MODE' }

/**
 * Logins and refreshes wait behind the one who waits for that lock: behind a `VACUUM`, for example, for many minutes.
 */
const LOCK_WAIT_MS = 10_000
const lockWait = (milliseconds: number): Statement => ({
  sql: "SELECT set_config('lock_timeout', $1, true)",
  params: [String(milliseconds)],
})

/** How many sessions are live. */
export async function countLiveSessions(database: Pick<Database, 'query'>, now: number): Promise<number> {
  const [row] = await database.query(
    'SELECT COUNT(*) AS sessions FROM sessions WHERE ended_at IS NULL AND expires_at > $1',
    [now],
  )
  return Number(row?.sessions)
}

/**
 * Ends the sessions of everybody, and revokes every token of a person that was ever issued. The revocation is one
 * entry, whatever the number of sessions. Tokens of OAuth clients that act for themselves go on.
 *
 * The tokens are refused first, in a short transaction with the audit row: ending very many sessions takes a while. Who
 * logs in between the two has to log in again.
 *
 * @param now epoch seconds
 * @param lockWaitMs how long it waits for others who write, on PostgreSQL
 * @throws OperatorError when the tokens are refused and the sessions could not be ended
 */
export async function endEverybody(
  database: Database,
  now: number,
  audit: AuditEntry,
  lockWaitMs = LOCK_WAIT_MS,
): Promise<void> {
  await database.transaction([auditRow(audit, now), ...numbered(raiseFloor(now))], REVOCATIONS)
  try {
    await database.transaction(endSessions(database.engine, now, lockWaitMs), REVOCATIONS)
  } catch (cause) {
    throw new OperatorError('all tokens of people are refused for 17 minutes, but their sessions could not be ended', {
      cause,
      hint: `run it again, within these 17 minutes: ${(cause as Error).message}`,
    })
  }
}

function endSessions(engine: Database['engine'], now: number, lockWaitMs: number): Statement[] {
  const mark = randomId()
  const statements: Statement[] = [
    ...(engine === 'postgres' ? [lockWait(lockWaitMs), ONLY_WRITER] : []),
    {
      sql: `UPDATE sessions SET ended_at = $1, end_reason = 'everybody', ended_by = $2 WHERE ended_at IS NULL`,
      params: [now, mark],
    },
    ...numbered(raiseFloor(now)),
    endOtherLogins(mark, now),
  ]
  return statements.map((statement) => ({ ...statement, timeout: WHOLE_STORE_TIMEOUT }))
}

/**
 * Puts the floor above the version of every account, and not below the time: a floor that a failover lost is then below
 * the next one. The row gets the number that `revocation_head` has.
 *
 * @param now epoch seconds
 * @param margin so much higher: where the store does not know the last versions
 */
export function raiseFloor(now: number, margin = 0): Statement {
  const known = `(SELECT MAX(version) FROM (SELECT MAX(token_version) AS version FROM accounts
    UNION ALL SELECT ${VERSION_FLOOR} UNION ALL SELECT CAST($1 AS BIGINT) - 1) AS versions)`
  return {
    sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
          SELECT 'client', '${FIRST_PARTY_CLIENT}', ${known} + 1 + CAST($3 AS BIGINT), h.seq,
            ${lastingBeyond('(SELECT COALESCE(MAX(last_used_at), 0) FROM sessions)')}
          FROM revocation_head h WHERE h.id = 1 ${UPSERT}`,
    params: [now, revocationExpiry(now), margin],
  }
}

/**
 * The floor is that of direct logins. A session of another client, if there are any one day, has an entry of its own.
 */
function endOtherLogins(mark: string, now: number): Statement {
  return {
    sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
          SELECT 'session', s.id, NULL, h.seq, ${lasting('$2')} FROM sessions s CROSS JOIN revocation_head h
          WHERE s.ended_by = $1 AND s.client_id <> '${FIRST_PARTY_CLIENT}' ${UPSERT}`,
    params: [mark, revocationExpiry(now)],
  }
}
