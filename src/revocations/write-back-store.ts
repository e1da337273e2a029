import { auditRow } from '../audit/audit-store.ts'
import type { Database, SqlValue, Statement } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { numbered } from './history-store.ts'
import { type RevocationKind, revocationExpiry } from './revocation.ts'
import type { SetEntry } from './revocation-set.ts'
import { REVOCATIONS, UNUSED_VERSIONS, UPSERT } from './revocation-store.ts'

/**
 * Writes revocations into a store that lost them, in one transaction with its audit row:
 *
 * - sessions end again, so that their refresh tokens stay dead;
 * - accounts and clients go on with versions that were never given: tokens of the lost history are refused, new ones
 *   pass;
 * - accounts and clients that were deleted are there again: they are suspended or disabled. An operator deletes them
 *   again; nothing is deleted that nobody asked for now.
 *
 * What is there already is left alone, so several servers may do this at once.
 *
 * @param lost each subject once
 * @param now epoch seconds
 * @returns how many were written
 */
export async function writeBack(database: Database, lost: readonly SetEntry[], now: number): Promise<number> {
  const mark = randomId()
  const params = lost.flatMap(({ kind, subject, minVersion, expiresAt }) => [
    ...[kind, subject, minVersion],
    kind === 'token' ? expiresAt : Math.max(expiresAt, revocationExpiry(now)),
  ])
  const next = params.length + 1
  const written = await database.transaction(
    [
      ...raiseVersions('accounts', lost, params, mark),
      ...raiseVersions('clients', lost, params, mark),
      {
        sql: `WITH ${listOf(lost)} UPDATE sessions
              SET ended_at = $${next}, end_reason = 'restored', ended_by = CAST($${next + 1} AS TEXT)
              WHERE ended_at IS NULL AND (id IN (SELECT subject FROM lost WHERE kind = 'session')
                OR account_id IN (SELECT subject FROM lost WHERE kind = 'account' AND min_version IS NULL))`,
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
  return written.at(INSERTED)?.length ?? 0
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

function raiseVersions(
  table: 'accounts' | 'clients',
  lost: readonly SetEntry[],
  values: readonly SqlValue[],
  mark: string,
): Statement[] {
  const [kind, off] = table === 'accounts' ? ['account', 'suspended'] : ['client', 'disabled']
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
      sql: `WITH ${listOf(lost)} UPDATE ${table} SET status = '${off}', changed_by = CAST($${next} AS TEXT)
            WHERE id IN (SELECT subject FROM lost WHERE kind = '${kind}' AND min_version IS NULL)`,
      params: [...values, mark],
    },
  ]
}

/** Accounts and clients by name: an operator has to look at each. */
function detailOf(lost: readonly SetEntry[]) {
  const of = (kind: RevocationKind) => lost.filter((one) => one.kind === kind).map(({ subject }) => subject)
  const { length: sessions } = of('session')
  const { length: tokens } = of('token')
  return { sessions, tokens, accounts: of('account'), clients: of('client') }
}
