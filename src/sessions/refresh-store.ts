import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Row, SqlValue, Statement } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { revocationExpiry } from '../revocations/revocation.ts'
import { REVOCATIONS, revokeSessionsEndedBy } from '../revocations/revocation-store.ts'
import { exchangeEntry, MAX_EXCHANGES_CHARS } from './exchanges.ts'
import { judgeRefresh, type RefreshState, type RefreshVerdict } from './judge-refresh.ts'
import type { RefreshClaim } from './refresh-token.ts'
import type { RefreshOutcome, SessionLimits } from './session.ts'
import { REFRESHED_COLUMNS, toRefreshedSession, toTokenSubject } from './session-rows.ts'

export interface RefreshBy {
  /** Epoch seconds. */
  readonly now: number
  readonly limits: SessionLimits
  readonly source: RequestSource
}

/** How often a verdict is tried that another request overtook. Each time the row is read and judged again. */
const MAX_ATTEMPTS = 5

const STATE_COLUMNS = `${REFRESHED_COLUMNS}, ended_at, expires_at, valid_from, exchanged, foreign_repeats,
  foreign_counter, ip, user_agent`

// Parameters of all that make the next token: $1 the session, $2 its counter, $3 now, $4 when it then expires, $5 and
// $6 who asks, $7 the beginning of the grace, or an instant to come when there is none. Rotations that follow each
// other within the grace are one in the count of foreign repeats: otherwise a thief would rotate twice to reset it.
const next = (counter: string) => `UPDATE sessions
  SET counter = ${counter} + 1, rotated_at = $3, last_used_at = $3, ip = $5, user_agent = $6,
    expires_at = CASE WHEN max_expires_at < $4 THEN max_expires_at ELSE $4 END,
    foreign_repeats = CASE WHEN foreign_counter = counter OR rotated_at >= $7 THEN foreign_repeats ELSE 0 END`
const OF_COUNTER = 'WHERE id = $1 AND counter = $2 AND ended_at IS NULL AND expires_at > $3'

/**
 * Applies a refresh token to its session. The ordinary refresh is one compare-and-swap on the counter. When that fails,
 * the row is read and judged, and the verdict takes effect only if the counter is still the one that was read.
 */
export async function refreshSession(database: Database, claim: RefreshClaim, by: RefreshBy): Promise<RefreshOutcome> {
  const rotated = await rotate(database, claim, by)
  if (rotated !== undefined) return given('rotated', rotated)
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const [row] = await database.query(`SELECT ${STATE_COLUMNS} FROM sessions WHERE id = $1`, [claim.sessionId])
    if (row === undefined) return { kind: 'refused' }
    const outcome = await apply(database, row, claim.counter, judgeRefresh(toState(row), claim.counter, by), by)
    if (outcome !== undefined) return outcome
  }
  return { kind: 'busy', retryIn: 1 }
}

/** Ends the session if the token is one that only a thief would show now; otherwise changes nothing. */
export async function endIfReused(database: Database, claim: RefreshClaim, by: RefreshBy): Promise<boolean> {
  const [row] = await database.query(`SELECT ${STATE_COLUMNS} FROM sessions WHERE id = $1`, [claim.sessionId])
  if (row === undefined) return false
  const verdict = judgeRefresh(toState(row), claim.counter, by)
  return verdict.kind === 'reused' && endReused(database, row, verdict.foreignRepeats, by)
}

/** The ordinary refresh. Nothing is taken from a list of exchanges that may hold one within the grace. */
async function rotate(database: Database, { sessionId, counter }: RefreshClaim, by: RefreshBy) {
  const entry = exchangeEntry({ at: by.now, counter })
  const [row] = await database.query(
    `${next('counter')},
       exchanged = CAST($8 AS TEXT) || CASE WHEN rotated_at >= $7 THEN exchanged ELSE '' END
     ${OF_COUNTER} AND (rotated_at < $7 OR length(exchanged) <= $9) RETURNING ${REFRESHED_COLUMNS}`,
    [...nextParams(sessionId, counter, by), entry, MAX_EXCHANGES_CHARS - entry.length],
  )
  return row
}

const nextParams = (sessionId: string, counter: number, { now, limits, source }: RefreshBy): SqlValue[] => [
  sessionId,
  counter,
  now,
  now + limits.idleTtl,
  source.ip,
  source.userAgent,
  limits.grace === 0 ? now + 1 : now - limits.grace,
]

/** @returns undefined when somebody else was faster */
async function apply(
  database: Database,
  row: Row,
  shown: number,
  verdict: RefreshVerdict,
  by: RefreshBy,
): Promise<RefreshOutcome | undefined> {
  switch (verdict.kind) {
    case 'refused':
    case 'busy':
      return verdict
    case 'repeated':
      if (verdict.foreignRepeats === undefined) return given('repeated', row)
      return (await countForeign(database, row, verdict.foreignRepeats, by)) ? given('repeated', row) : undefined
    case 'rotated':
    case 'retried':
    case 'ahead': {
      const made = await makeNext(database, row, shown, verdict, by)
      return made && given(verdict.kind, made)
    }
    case 'reused':
      return (await endReused(database, row, verdict.foreignRepeats, by)) ? { kind: 'reused' } : undefined
  }
}

const EVENTS = { rotated: undefined, retried: 'refresh_token_retried', ahead: 'refresh_token_ahead' } as const

/** @param shown the counter of the token that was shown */
async function makeNext(
  database: Database,
  row: Row,
  shown: number,
  { kind, exchanged }: Extract<RefreshVerdict, { exchanged: string }>,
  by: RefreshBy,
): Promise<Row | undefined> {
  const mark = randomId()
  const params = nextParams(String(row.id), Number(row.counter), by)
  const current = kind === 'ahead' ? shown : Number(row.counter)
  const rotation: Statement = {
    sql: `${next('CAST($10 AS BIGINT)')}, exchanged = CAST($8 AS TEXT), changed_by = CAST($9 AS TEXT)
          ${OF_COUNTER} RETURNING ${REFRESHED_COLUMNS}`,
    // A retry keeps the count of foreign repeats ($7 = 0): a thief who rotates once in his turn makes every refresh of
    // the owner a retry.
    params: [...(kind === 'retried' ? params.with(6, 0) : params), exchanged, mark, current],
  }
  const event = EVENTS[kind]
  const audit = event && auditRow(entryOf(event, row, by), by.now, changed(row, mark))
  const [[made] = []] = await database.transaction(audit === undefined ? [rotation] : [rotation, audit])
  return made
}

/** Counts a repeat by somebody else, once for each counter, and writes it to the trail. */
async function countForeign(database: Database, row: Row, count: number, by: RefreshBy): Promise<boolean> {
  const mark = randomId()
  const [counted = []] = await database.transaction([
    {
      sql: `UPDATE sessions SET foreign_repeats = $3, foreign_counter = counter, changed_by = $4
            WHERE id = $1 AND counter = $2 AND foreign_counter <> counter AND ended_at IS NULL RETURNING id`,
      params: [String(row.id), Number(row.counter), count, mark],
    },
    auditRow(entryOf('refresh_token_repeated', row, by, count), by.now, changed(row, mark)),
  ])
  return counted.length > 0
}

/**
 * Somebody holds a copy of a token: the session ends and is revoked, and the audit row names the network and client of
 * both sides.
 */
async function endReused(database: Database, row: Row, foreign: number | undefined, by: RefreshBy): Promise<boolean> {
  const mark = randomId()
  const [ended = []] = await database.transaction(
    [
      {
        sql: `UPDATE sessions SET ended_at = $3, end_reason = 'reused', ended_by = $4 ${OF_COUNTER} RETURNING id`,
        params: [String(row.id), Number(row.counter), by.now, mark],
      },
      ...revokeSessionsEndedBy(mark, revocationExpiry(by.now)),
      auditRow(entryOf('refresh_token_reused', row, by, foreign), by.now, {
        exists: 'SELECT 1 FROM sessions WHERE ended_by = $1',
        params: [mark],
      }),
    ],
    REVOCATIONS,
  )
  return ended.length > 0
}

const changed = (row: Row, mark: string) => ({
  exists: 'SELECT 1 FROM sessions WHERE id = $1 AND changed_by = $2',
  params: [String(row.id), mark],
})

/** @param foreign how many rotations in a row were repeated by somebody else */
function entryOf(event: AuditEntry['event'], row: Row, { source }: RefreshBy, foreign?: number): AuditEntry {
  const last = { last_ip: text(row.ip), last_user_agent: text(row.user_agent) }
  const detail = foreign === undefined ? last : { ...last, in_a_row: foreign }
  return { event, source, accountId: String(row.account_id), sessionId: String(row.id), detail }
}

const text = (value: SqlValue | undefined): string | null => (value == null ? null : String(value))

function given(kind: 'rotated' | 'repeated' | 'retried' | 'ahead', row: Row): RefreshOutcome {
  if (row.status !== 'active') return { kind: 'refused' }
  return { kind, session: toRefreshedSession(row), subject: toTokenSubject(row, String(row.account_id)) }
}

function toState(row: Row): RefreshState {
  return {
    accountStatus: String(row.status),
    endedAt: row.ended_at == null ? null : Number(row.ended_at),
    expiresAt: Number(row.expires_at),
    counter: Number(row.counter),
    validFrom: Number(row.valid_from),
    rotatedAt: Number(row.rotated_at),
    exchanged: String(row.exchanged),
    foreignRepeats: Number(row.foreign_repeats),
    foreignCounter: Number(row.foreign_counter),
    ip: text(row.ip),
    userAgent: text(row.user_agent),
  }
}
