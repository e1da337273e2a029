import type { Database } from '../db/database.ts'
import { AppError } from '../errors/app-error.ts'

export const OPERATIONS = ['select', 'insert', 'update', 'delete', 'other', 'transaction'] as const
export type Operation = (typeof OPERATIONS)[number]

export interface StoreCall {
  readonly operation: Operation
  readonly seconds: number
  /** False when the store could not be reached or could not write. */
  readonly reached: boolean
}

/** The same database; `observe` is called at the end of every call. */
export function timedDatabase(database: Database, observe: (call: StoreCall) => void): Database {
  const timed = async <T>(operation: Operation, work: () => Promise<T>): Promise<T> => {
    const began = performance.now()
    let reached = true
    try {
      return await work()
    } catch (error) {
      reached = !(error instanceof AppError && error.code === 'store_unavailable')
      throw error
    } finally {
      observe({ operation, seconds: (performance.now() - began) / 1000, reached })
    }
  }
  return {
    engine: database.engine,
    query: (sql, params) => timed(operationOf(sql), () => database.query(sql, params)),
    transaction: (statements, notify) => timed('transaction', () => database.transaction(statements, notify)),
    listen: (channel, onChange) => database.listen(channel, onChange),
    waiting: () => database.waiting(),
    close: () => database.close(),
  }
}

function operationOf(sql: string): Operation {
  const [verb = ''] = /^\s*\w+/.exec(sql) ?? []
  return OPERATIONS.find((operation) => operation === verb.trim().toLowerCase()) ?? 'other'
}
