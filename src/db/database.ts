import { AppError } from '../errors/app-error.ts'

export type SqlValue = string | number | null

export interface Statement {
  /** One statement with `$1`, `$2`, … parameters, in the SQL that SQLite and PostgreSQL share. */
  readonly sql: string
  readonly params?: readonly SqlValue[]
  /** Seconds it may take where the engine sets a limit, for a migration that takes longer than a request may. */
  readonly timeout?: number
}

export type Row = Record<string, SqlValue>

/** What a store may ask of its engine. There is no open transaction to await in: a transaction is a list, sent whole. */
export interface Database {
  readonly engine: 'sqlite' | 'postgres'
  /** Runs one statement. Resolves with its rows once it is on disk. */
  query<R extends Row = Row>(sql: string, params?: readonly SqlValue[]): Promise<R[]>
  /**
   * Runs all statements or none. Resolves with the rows of each once they are on disk.
   *
   * @param notify a channel whose listeners, on this and every other node, are told after the commit where the engine can
   */
  transaction(statements: readonly Statement[], notify?: string): Promise<Row[][]>
  /**
   * Calls `onChange` when a transaction notified the channel, and after every gap in which notifications may have been missed.
   * An engine that can't notify never calls: whoever listens polls as well.
   *
   * @param onChange may return a promise, for those who can wait until the change has arrived
   * @returns a function that stops it
   */
  listen(channel: string, onChange: () => unknown): () => void
  /** Calls that wait for their turn. */
  waiting(): number
  close(): Promise<void>
}

/**
 * PostgreSQL has no text with a NUL in it, and SQLite has: such a value is refused on both, before it gets there.
 *
 * @throws AppError `validation_failed`
 */
export function assertStorable(params: readonly SqlValue[] = []): void {
  if (params.every((value) => typeof value !== 'string' || !value.includes('\0'))) return
  throw new AppError('validation_failed', {
    reason: 'a NUL',
    fields: [{ field: '', message: 'holds a NUL character' }],
  })
}

/** The store can't be reached or can't write: 503 with Retry-After; verified routes don't notice. */
export function storeUnavailable(reason: string, cause?: unknown): AppError {
  return new AppError('store_unavailable', { reason, cause })
}

/** Rejects when the store can't answer. */
export const ping = (database: Pick<Database, 'query'>): Promise<unknown> => database.query('SELECT 1 AS one')
