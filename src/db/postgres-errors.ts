import { DatabaseError } from 'pg'
import { AppError, OperatorError } from '../errors/app-error.ts'
import { storeUnavailable } from './database.ts'
import { poolerError } from './pooler-errors.ts'

// SQLSTATE codes: PostgreSQL manual, appendix A. The first two characters are the class.

/** The transaction conflicted with another one and was rolled back: it may be tried again. */
const CONFLICT = /^(40001|40P01)$/
/**
 * Faults of the server and not of our SQL: connection, resources, shutdown, cancelled statement, I/O, read-only after a
 * failover.
 */
const UNAVAILABLE = /^(08|28|40|53|57|58|25006|25P03|25P04|3D000|55P03)/
/** Classes whose message names tables, columns and constraints, and never a value. */
const WITHOUT_VALUES = /^(08|0A|23|25|26|28|3D|40|42|53|54|55|57|58)/

/** True when the transaction may be tried again unchanged. */
export function isConflict(error: unknown): boolean {
  return error instanceof DatabaseError && CONFLICT.test(error.code ?? '')
}

/** True when the connection that gave this error must not be used again. */
export function isBroken(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return !isOurs(error)
  return error.severity === 'FATAL' || error.severity === 'PANIC' || error.code === '25006' || error.code === '25P02'
}

/** True when the server gave no answer at all, not even that the statement timed out. */
export function isSilence(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout'
}

/**
 * True when the server is there but takes no more connections, in all or from this user (too_many_connections), or when
 * a connection pooler says that of itself or of the server.
 */
export function isFull(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false
  return error.code === '53300' || poolerError(error)?.full === true
}

/** True when connecting failed for a reason that the next attempt would meet as well. */
export function isOutage(error: unknown): boolean {
  if (error instanceof DatabaseError) return !/^53/.test(error.code ?? '') && !isFull(error)
  // This timeout means that every connection of the pool is in use: no outage.
  return !(error instanceof Error && error.message === 'timeout exceeded when trying to connect')
}

/**
 * What a caller of the store gets: `store_unavailable`, or a plain Error with its `sqlState`, whose message holds no
 * parameter.
 */
export function publicError(error: unknown): Error {
  if (error instanceof AppError) return error
  const bug =
    error instanceof DatabaseError
      ? !UNAVAILABLE.test(error.code ?? '') && poolerError(error) === undefined
      : isOurs(error)
  if (!bug) return storeUnavailable(describe(error))
  return Object.assign(new Error(describe(error)), {
    sqlState: error instanceof DatabaseError ? error.code : undefined,
  })
}

/**
 * The error in one line. The members `detail` and `where` of a PostgreSQL error are left out: they quote rows, and so
 * email addresses and password hashes.
 */
export function describe(error: unknown): string {
  if (error instanceof DatabaseError) {
    const { code = 'without a code', message } = error
    const pooler = poolerError(error)
    if (pooler) return `${pooler.meaning} (${code}: ${message})`
    return WITHOUT_VALUES.test(code) ? `PostgreSQL ${code}: ${message}` : `PostgreSQL ${code}`
  }
  // When both addresses of a host name refuse, Node wraps the two errors in one that has no message.
  const [first] = error instanceof AggregateError ? error.errors : [error]
  return first instanceof Error ? first.message : String(first)
}

/** The message and the hint for the operator when the first connection fails. */
export function cannotOpen(address: string, cause: unknown): OperatorError {
  const what = describe(cause).replaceAll(/\s+/g, ' ')
  return new OperatorError(`DATABASE_URL: can't use ${address}: ${what}`, { cause, hint: hint(cause, what) })
}

function hint(cause: unknown, what: string): string {
  const code = cause instanceof DatabaseError ? cause.code : undefined
  const pooler = cause instanceof DatabaseError ? poolerError(cause) : undefined
  if (pooler) return pooler.hint
  if (isFull(cause))
    return 'it runs, but has no connection left: raise max_connections there, or lower DATABASE_POOL_SIZE everywhere'
  if (code === '3D000') return 'create it first: createdb --encoding=UTF8 NAME'
  if (code?.startsWith('28') || /SASL/.test(what)) return 'check user and password, and what pg_hba.conf asks for'
  if (what === 'The server does not support SSL connections')
    return 'switch its TLS on; or, if you trust the network between the two, set DATABASE_TLS=off'
  if (/certificate|SSL|TLS|altnames/i.test(what)) return 'check DATABASE_TLS and DATABASE_CA_FILE'
  return 'PostgreSQL must run there and accept connections from this machine'
}

/** Errors that `pg` itself throws because of a value: a parameter it can't send, a number it can't read. */
function isOurs(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError
}
