/**
 * The door to the store: one interface, two engines (SQLite in a worker thread, PostgreSQL), the migrations and the
 * errors of both. Statements about a subject (accounts, sessions, clients) belong to the store files of that subject's
 * folder.
 */

import { AppError } from '../errors/app-error.ts'

export type SqlValue = string | number | null

export interface Statement {
  /** One statement with `$1`, `$2`, … parameters, in the SQL that SQLite and PostgreSQL share. */
  readonly sql: string
  readonly params?: readonly SqlValue[]
  /** Statement timeout in seconds, on an engine that has one: for a migration, which may take longer than a request. */
  readonly timeout?: number
}

export type Row = Record<string, SqlValue>

/**
 * What the store files may ask of the engine. A transaction is a list of statements, sent as a whole: nobody can await
 * something while a transaction is open.
 */
export interface Database {
  readonly engine: 'sqlite' | 'postgres'
  /**
   * Runs one statement. Resolves with its rows once it is on disk.
   *
   * @throws AppError `store_unavailable` when the store can't be reached or can't write
   */
  query<R extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<R[]>
  /**
   * Runs all statements or none. Resolves with the rows of each once they are on disk.
   *
   * @param notify a channel whose listeners, on this and every other node, are told after the commit, if the engine can
   *   notify
   * @throws AppError `store_unavailable` when the store can't be reached or can't write
   */
  transaction(statements: readonly Statement[], notify?: string): Promise<Row[][]>
  /**
   * Calls `onChange` when a transaction notified the channel, and after every gap in which notifications may have been
   * missed. An engine that can't notify never calls it, so every listener must poll as well.
   *
   * @param onChange may return a promise, for a caller that waits until the change has been applied
   * @returns a function that stops it
   */
  listen(channel: string, onChange: () => unknown): () => void
  /** The number of calls that wait for their turn. */
  waiting(): number
  close(): Promise<void>
}

/**
 * PostgreSQL can't store a NUL in a text and SQLite can: such a value is refused for both, before it reaches either.
 *
 * @throws AppError `validation_failed`
 */
export function assertStorable(params: readonly SqlValue[] = []): void {
  if (params.every((value) => typeof value !== 'string' || !value.includes('\0'))) return
  throw new AppError('validation_failed', {
    reason: 'a text holds a NUL character',
    fields: [{ field: '', message: 'holds a NUL character' }],
  })
}

/**
 * The error for a store that can't be reached or can't write: 503 with Retry-After. Routes that only verify a token
 * don't need the store.
 *
 * @param reason for the log only
 */
export function storeUnavailable(reason: string, cause?: unknown): AppError {
  return new AppError('store_unavailable', { reason, cause })
}

/** Rejects when the store can't answer. */
export const ping = (database: Pick<Database, 'query'>): Promise<unknown> => database.query('SELECT 1 AS one')
