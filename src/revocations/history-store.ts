import type { Database, Row, SqlValue, Statement } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { type Revocation, type RevocationKind, UNUSED_NUMBERS } from './revocation.ts'

// Every revocation takes a number. A store that went back (a failover to a standby that missed the last transactions, a
// restored backup) gives numbers that were given before. So each number has a random mark of its transaction, and the
// store has a `history`: a random id that a server changes when it notices that the store went back.

/** A number, and the mark of the transaction that took it. */
export interface Marked {
  readonly seq: number
  readonly mark: string
}

/** What one look at the store shows: all of it is of one instant. */
export interface Look {
  readonly history: string
  /** The last number that was taken. */
  readonly head: number
  /** The mark that the store has for the number that was asked about; undefined when it has none. */
  readonly mark: string | undefined
  /** The lowest number with a mark. Older ones were deleted; a server of version 0.2 takes numbers without one. */
  readonly oldest: number | undefined
  /** The highest number with a mark. */
  readonly newest: Marked | undefined
  /** In the order of `seq`. */
  readonly revocations: Revocation[]
}

/** So many marks are kept. A server that missed more numbers reads everything again, and raises no alarm. */
const KEPT_MARKS = 100_000

/**
 * Statements that take the next number for the rows which `insert` writes: it finds the number in `revocation_head`.
 * The number is taken in the first statement; `insert` is the second.
 *
 * @param onlyIf a condition in SQL, with its parameters from `$1` on; without it nothing is taken
 * @param mark of this transaction: random
 */
export function numbered(
  insert: Statement,
  onlyIf: { sql: string; params: readonly SqlValue[] } = ALWAYS,
  mark: string = randomId(),
): Statement[] {
  const { sql, params } = onlyIf
  return [
    {
      sql: `UPDATE revocation_head SET seq = seq + 1, mark = $${params.length + 1} WHERE id = 1 AND ${sql}`,
      params: [...params, mark],
    },
    insert,
    logNumber(mark),
  ]
}

const ALWAYS = { sql: '1 = 1', params: [] }

/** Writes down the number that the same transaction took under this mark. */
export const logNumber = (mark: string): Statement => ({
  sql: `INSERT INTO revocation_log (seq, mark)
        SELECT seq, mark FROM revocation_head WHERE id = 1 AND mark = $1 ON CONFLICT DO NOTHING`,
  params: [mark],
})

/**
 * Statements that begin a new history: the numbers go on with ones that were never given.
 *
 * @param after above this number
 * @param onlyIf a condition in SQL on `revocation_head`, with its parameters from `$4` on
 */
export function beginHistory(
  after = 0,
  onlyIf: { sql: string; params: readonly SqlValue[] } = ALWAYS,
): [begin: Statement, log: Statement] {
  const [history, mark] = [randomId(), randomId()]
  const begin = {
    sql: `UPDATE revocation_head SET history = $1, mark = $2,
            seq = ${UNUSED_NUMBERS} + CASE WHEN seq > $3 THEN seq ELSE $3 END
          WHERE id = 1 AND ${onlyIf.sql} RETURNING seq`,
    params: [history, mark, after, ...onlyIf.params],
  }
  return [begin, logNumber(mark)]
}

/**
 * The condition under which the store is not the one that was read before: for two servers that find it out at once,
 * only the first begins a new history.
 *
 * @param history of the store now
 * @param known what was read before
 */
export const isBehind = (history: string, known: { head: number; newest: Marked | undefined }) => ({
  sql: `history = $4 AND (seq < $5 OR (CAST($6 AS BIGINT) >= 0
          AND NOT EXISTS (SELECT 1 FROM revocation_log l WHERE l.seq = $6 AND l.mark = $7)))`,
  params: [history, known.head, known.newest?.seq ?? -1, known.newest?.mark ?? ''],
})

/** For the maintenance: deletes the oldest marks. */
export const DELETE_OLD_MARKS: Statement = {
  sql: `DELETE FROM revocation_log WHERE seq <= (SELECT MAX(seq) FROM revocation_log) - ${KEPT_MARKS}`,
}

/**
 * Reads the revocations after a number, and in the same snapshot whether the store is still the one that was read
 * before.
 *
 * @param after the revocations after this number: at least `limit` entries if there are so many, and always every entry
 *   of a `seq`
 * @param known the number whose mark is asked for
 */
export async function lookAt(
  database: Database,
  { after, known = -1, limit }: { after: number; known?: number | undefined; limit: number },
): Promise<Look> {
  const look = async () => {
    const rows = await database.query(LOOK, [after, limit, known])
    const [row] = rows
    if (row === undefined) throw new Error('the table revocation_head has no row: restore it, or the whole database')
    return row.history == null ? undefined : toLook(rows, row)
  }
  const found = await look()
  if (found !== undefined) return found
  await database.query('UPDATE revocation_head SET history = $1 WHERE id = 1 AND history IS NULL', [randomId()])
  const first = await look()
  if (first === undefined) throw new Error('the history in the table revocation_head can not be written')
  return first
}

// One `seq` may stand for several entries, so a page goes on to the end of its last `seq`.
const LOOK = `SELECT h.seq AS head, h.history, (SELECT mark FROM revocation_log WHERE seq = $3) AS mark,
    (SELECT MIN(seq) FROM revocation_log) AS oldest, l.seq AS newest, l.mark AS newest_mark,
    r.kind, r.subject, r.min_version, r.seq, r.expires_at
  FROM revocation_head h
  LEFT JOIN revocation_log l ON l.seq = (SELECT MAX(seq) FROM revocation_log)
  LEFT JOIN revocations r ON r.seq > $1 AND r.seq <= (
    SELECT MAX(seq) FROM (SELECT seq FROM revocations WHERE seq > $1 ORDER BY seq LIMIT $2) AS page)
  WHERE h.id = 1 ORDER BY r.seq`

function toLook(rows: readonly Row[], { head, history, mark, oldest, newest, newest_mark }: Row): Look {
  return {
    history: String(history),
    head: Number(head),
    mark: mark == null ? undefined : String(mark),
    oldest: oldest == null ? undefined : Number(oldest),
    newest: newest == null ? undefined : { seq: Number(newest), mark: String(newest_mark) },
    revocations: rows.filter(({ kind }) => kind != null).map(toRevocation),
  }
}

function toRevocation(row: Row): Revocation {
  return {
    kind: row.kind as RevocationKind,
    subject: String(row.subject),
    minVersion: row.min_version === null ? null : Number(row.min_version),
    seq: Number(row.seq),
    expiresAt: Number(row.expires_at),
  }
}
