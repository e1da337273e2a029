import { type PoolClient, Query, type QueryConfig } from 'pg'
import type { Row, Statement } from './database.ts'
import { isBroken } from './postgres-errors.ts'
import { begin, isPooled, limitBefore } from './postgres-session.ts'
import { silentAfter } from './postgres-settings.ts'

/**
 * Runs all statements or none, in a transaction of READ COMMITTED.
 *
 * @param timeoutMs statement time-out, unless statements say how long they may take
 * @param notify a channel that is notified with the commit
 */
export async function transact(
  client: PoolClient,
  statements: readonly Statement[],
  timeoutMs: number,
  notify?: string,
): Promise<Row[][]> {
  const limit = Math.max(...statements.map(({ timeout = 0 }) => timeout * 1000))
  try {
    await client.query({ text: begin(client, timeoutMs), ...patience(limit) } as QueryConfig)
    if (limit > 0)
      await run(client, { sql: "SELECT set_config('statement_timeout', $1, true)", params: [String(limit)] })
    const results: Row[][] = []
    for (const statement of statements) results.push(await run(client, statement))
    if (notify !== undefined) await run(client, { sql: "SELECT pg_notify($1, '')", params: [notify] })
    await client.query('COMMIT')
    return results
  } catch (error) {
    if (!isBroken(error)) await client.query('ROLLBACK')
    throw error
  }
}

/**
 * Runs one statement outside of a transaction.
 *
 * Through a pooler it goes together with one that sets the time-out: in one round trip, and in one transaction, because
 * the server commits at the Sync message that follows both (PostgreSQL manual, "Extended Query").
 */
export function runAlone(client: PoolClient, statement: Statement, timeoutMs: number): Promise<Row[]> {
  if (!isPooled(client)) return run(client, statement)
  return new Promise((resolve, reject) => {
    const query = new Query(extended(statement), (error, results) => {
      if (error) reject(error)
      else resolve([results].flat().at(-1)?.rows ?? [])
    })
    const submit = query.submit.bind(query)
    query.submit = (connection) => {
      connection.stream.cork()
      try {
        connection.parse({ name: '', text: limitBefore(timeoutMs), types: [] }, true)
        connection.bind({ portal: '', statement: '', values: [] }, true)
        connection.execute({ portal: '' }, true)
        return submit(connection)
      } finally {
        connection.stream.uncork()
      }
    }
    client.query(query)
  })
}

async function run(client: PoolClient, statement: Statement): Promise<Row[]> {
  const { rows } = await client.query<Row>(extended(statement))
  return rows
}

function extended({ sql, params = [], timeout = 0 }: Statement): QueryConfig {
  const query = {
    text: sql,
    values: [...params],
    queryMode: 'extended', // one statement per query, even when it has no parameters
    ...patience(timeout * 1000),
  }
  return query as QueryConfig
}

/** How long an answer is awaited. Behind a pooler it also waits while all sessions there are taken. */
function patience(limitMs: number) {
  return limitMs > 0 ? { query_timeout: silentAfter(limitMs) } : {}
}
