import type { ClientBase, ClientConfig } from 'pg'
import { isSilence } from './postgres-errors.ts'

// How time-outs are put in force on a connection, whatever stands between us and PostgreSQL.
//
// A connection that leads to one server process for its whole life gets them once, as settings of its session. Behind a
// connection pooler (PgBouncer in transaction mode, for example) each transaction may run in another session, which
// other programs use too. There nothing may be left behind in a session, so each transaction sets its own.

export interface Connecting {
  readonly config: ClientConfig
  /** For a statement, and for a transaction that waits for its next statement. */
  readonly timeoutMs: number
}

/** The connections that lead through a pooler. Those that are not in it have a session of their own. */
const pooled = new WeakSet<ClientBase>()

export function isPooled(client: ClientBase): boolean {
  return pooled.has(client)
}

/** What stands between us and PostgreSQL: nothing that changes the session, or a connection pooler. */
export type Route = 'direct' | 'pooled'

export function routeOf(client: ClientBase): Route {
  return isPooled(client) ? 'pooled' : 'direct'
}

/**
 * @param silence the error of a statement that got no answer. @returns one that says what it means on this connection
 */
export function explainSilence(client: ClientBase, silence: unknown): unknown {
  return isPooled(client) ? new Error(NO_ANSWER, { cause: silence }) : silence
}

const NO_ANSWER =
  'timeout: the connection pooler has no connection to PostgreSQL free, or PostgreSQL behind it does not answer'

/**
 * Finds out whether this new connection leads to one server process, and sets the time-outs of its session if it does.
 * Await it before the connection is used. They are not sent when connecting, because PgBouncer refuses them there.
 *
 * PostgreSQL tells each new connection the id of its process (BackendKeyData). A pooler makes one up, because the
 * process changes. So a different id means a pooler.
 *
 * @param timeoutMs for a statement, and for a transaction that waits for its next statement
 * @throws Error when the connection is lost, or when there is no answer
 */
export async function openSession(client: ClientBase, timeoutMs: number): Promise<void> {
  const { processID } = client as ClientBase & { readonly processID: number | null }
  try {
    const { rowCount } = await client.query(`SELECT ${limits(timeoutMs, 'session')} WHERE pg_backend_pid() = $1`, [
      processID ?? 0,
    ])
    if (rowCount === 0) pooled.add(client)
  } catch (cause) {
    throw isSilence(cause) ? new Error(NO_FIRST_ANSWER, { cause }) : cause
  }
}

/** Nobody knows yet whether it is a pooler. */
const NO_FIRST_ANSWER =
  'timeout: it takes connections but answers nothing. A connection pooler there may have none to PostgreSQL free'

/** The statement that begins a transaction. Through a pooler the time-outs go with it, in the same round trip. */
export function begin(client: ClientBase, timeoutMs: number): string {
  const text = 'BEGIN ISOLATION LEVEL READ COMMITTED'
  return isPooled(client) ? `${text}; SELECT ${limits(timeoutMs, 'transaction')}` : text
}

/** A statement that gives no row and puts the statement time-out in force until the transaction ends. */
export function limitBefore(timeoutMs: number): string {
  return `SELECT WHERE set_config('statement_timeout', '${timeoutMs}', true) IS NULL` // it never is
}

function limits(timeoutMs: number, within: 'session' | 'transaction'): string {
  // A node that freezes in the middle of a transaction (paused, swapped out) must not keep its row locks from the
  // others.
  return ['statement_timeout', 'idle_in_transaction_session_timeout']
    .map((name) => `set_config('${name}', '${timeoutMs}', ${within === 'transaction'})`)
    .join(', ')
}
