import { auditRow } from '../audit/audit-store.ts'
import type { Database, SqlValue, Statement } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { numbered } from './history-store.ts'
import { type RevocationKind, revocationExpiry } from './revocation.ts'
import type { SetEntry } from './revocation-set.ts'
import { REVOCATIONS, UNUSED_VERSIONS, UPSERT } from './revocation-store.ts'

/** What `writeBack` did. */
export interface WrittenBack {
  /** How many entries the store lacked. */
  readonly written: number
  /** Accounts and clients that were deleted and that the store has again: their ids. */
  readonly thereAgain: readonly string[]
}

/**
 * Writes revocations into a store that lost them, in one transaction with its audit row:
 *
 * - sessions end again, so that their refresh tokens stay dead; when everybody was ended, all of them;
 * - accounts and clients go on with versions that were never given: tokens of the lost history are refused, new ones
 *   pass;
 * - accounts and clients that were deleted are there again: their sessions end and all their tokens are revoked, no
 *   more. Perhaps they were deleted in a copy of this store, to which its address led by mistake. So they are neither
 *   deleted nor switched off here: an operator decides.
 *
 * What is there already is left alone, so several servers may do this at once, and one that is late undoes nothing that
 * was done since another one wrote it.
 *
 * @param lost each subject once
 * @param now epoch seconds
 */
export async function writeBack(database: Database, lost: readonly SetEntry[], now: number): Promise<WrittenBack> {
  const mark = randomId()
  const params = lost.flatMap(({ kind, subject, minVersion, expiresAt }) => [
    ...[kind, subject, minVersion],
    kind === 'token' ? expiresAt : Math.max(expiresAt, revocationExpiry(now)),
  ])
  const next = params.length + 1
  const raised = [...raiseVersions('accounts', lost, params, mark), ...raiseVersions('clients', lost, params, mark)]
  const results = await database.transaction(
    [
      ...raised,
      {
        sql: `WITH ${listOf(lost)} UPDATE sessions
              SET ended_at = $${next}, end_reason = 'restored', ended_by = CAST($${next + 1} AS TEXT)
              WHERE ended_at IS NULL AND (id IN (${lackingOf('session')}) OR account_id IN (${deletedOf('account')})
                OR client_id IN (${lackingOf('client')}))`,
        params: [...params, now, mark],
      },
      ...numbered(
        {
          sql: `WITH ${listOf(lost)} INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
                SELECT l.kind, l.subject, ${VERSION}, h.seq, CAST(l.expires_at AS BIGINT)
                FROM ${LACKING_ROWS} CROSS JOIN revocation_head h
                WHERE h.mark = $${next} AND ${IS_LACKING} ${UPSERT} RETURNING subject`,
          params: [...params, mark],
        },
        { sql: `EXISTS (WITH ${listOf(lost)} SELECT 1 FROM ${LACKING_ROWS} WHERE ${IS_LACKING})`, params },
        mark,
      ),
      auditRow({ event: 'revocations_written_back', source: NOBODY, detail: detailOf(lost) }, now, {
        exists: 'SELECT 1 FROM revocation_head WHERE mark = $1',
        params: [mark],
      }),
    ],
    REVOCATIONS,
  )
  const thereAgain = results.slice(0, raised.length).flatMap((rows) => rows.map(({ id }) => String(id)))
  return { written: results.at(INSERTED)?.length ?? 0, thereAgain }
}

/** Where the statement that inserts stands: before the mark of the number and the audit row. */
const INSERTED = -3

const NOBODY = { ip: null, userAgent: null, requestId: null }

/** The table `lost`: its values are the first parameters of each statement. */
const listOf = (lost: readonly SetEntry[]): string => {
  const rows = lost.map((_, index) => `($${4 * index + 1}, $${4 * index + 2}, $${4 * index + 3}, $${4 * index + 4})`)
  return `lost (kind, subject, min_version, expires_at) AS (VALUES ${rows.join(', ')})`
}

const LACKING_ROWS = `lost l
  LEFT JOIN accounts a ON l.kind = 'account' AND a.id = l.subject AND l.min_version IS NOT NULL
  LEFT JOIN clients c ON l.kind = 'client' AND c.id = l.subject AND l.min_version IS NOT NULL
  LEFT JOIN revocations r ON r.kind = l.kind AND r.subject = l.subject`

/** What the row must say: the raised version, or the remembered one of what is not there. */
const VERSION = 'COALESCE(a.token_version, c.token_version, CAST(l.min_version AS BIGINT))'

const IS_LACKING = `(r.subject IS NULL OR (l.kind IN ('account', 'client') AND r.min_version IS NOT NULL
  AND (l.min_version IS NULL OR r.min_version < ${VERSION})))`

const lackingOf = (kind: RevocationKind) =>
  `SELECT l.subject FROM ${LACKING_ROWS} WHERE l.kind = '${kind}' AND ${IS_LACKING}`
const deletedOf = (kind: 'account' | 'client') => `${lackingOf(kind)} AND l.min_version IS NULL`

/** Statements that give new versions. They return the ids of those that were deleted and are there again. */
function raiseVersions(
  table: 'accounts' | 'clients',
  lost: readonly SetEntry[],
  values: readonly SqlValue[],
  mark: string,
): Statement[] {
  const kind = table === 'accounts' ? 'account' : 'client'
  if (!lost.some((one) => one.kind === kind)) return []
  const next = values.length + 1
  const remembered = `(SELECT CAST(min_version AS BIGINT) FROM lost WHERE kind = '${kind}' AND subject = ${table}.id)`
  return [
    {
      sql: `WITH ${listOf(lost)} UPDATE ${table}
            SET token_version = ${UNUSED_VERSIONS} + ${remembered}, changed_by = CAST($${next} AS TEXT)
            WHERE id IN (SELECT subject FROM lost WHERE kind = '${kind}' AND min_version IS NOT NULL)
              AND token_version <= ${remembered}`,
      params: [...values, mark],
    },
    {
      // The row of the revocation refuses all versions. An operator who changes the account or client replaces it by
      // one with the present version, which must be above those of the lost history.
      sql: `WITH ${listOf(lost)} UPDATE ${table}
            SET token_version = token_version + ${UNUSED_VERSIONS}, changed_by = CAST($${next} AS TEXT)
            WHERE id IN (${deletedOf(kind)}) RETURNING id`,
      params: [...values, mark],
    },
  ]
}

/** Accounts and clients by name: an operator has to look at each. `deleted` are those of them that were deleted. */
function detailOf(lost: readonly SetEntry[]) {
  const of = (kind: RevocationKind) => lost.filter((one) => one.kind === kind).map(({ subject }) => subject)
  const { length: sessions } = of('session')
  const { length: tokens } = of('token')
  const [accounts, clients] = [of('account'), of('client')]
  const isDeleted = ({ kind, minVersion }: SetEntry) => minVersion === null && (kind === 'account' || kind === 'client')
  const deleted = lost.filter(isDeleted).map(({ subject }) => subject)
  return { sessions, tokens, accounts, clients, deleted }
}
