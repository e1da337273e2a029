import { readFileSync } from 'node:fs'
import { type ClientConfig, type CustomTypesConfig, types } from 'pg'
import type { Config } from '../config/config.ts'
import { OperatorError } from '../errors/app-error.ts'

export type PostgresSettings = Pick<
  Config,
  'DATABASE_URL' | 'DATABASE_POOL_SIZE' | 'DATABASE_STATEMENT_TIMEOUT' | 'DATABASE_TLS' | 'DATABASE_CA_FILE'
>

/** Bounds the time to connect, and the time that a call waits for a free connection of the pool. */
const CONNECT_TIMEOUT_MS = 3000
/**
 * Extra time after the statement timeout of the server. A server that has not answered by then is taken to be
 * unreachable.
 */
const SILENCE_MS = 2000

const { BOOL, INT2, INT4, INT8, OID, FLOAT4, FLOAT8, NUMERIC } = types.builtins
const NUMBERS = new Set<number>([INT2, INT4, INT8, OID, FLOAT4, FLOAT8, NUMERIC])

/**
 * The settings of one `pg` connection. Every one is given explicitly, so that `PGSSLMODE` or `PGPORT` in the
 * environment of the machine changes nothing.
 *
 * @throws OperatorError for an address or a certificate that can't be used; the message never shows the password
 */
export function clientConfig(settings: PostgresSettings): ClientConfig {
  return {
    ...address(settings.DATABASE_URL),
    ssl: tls(settings),
    application_name: 'signet',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    // The time-outs of the server are not here: see postgres-session.ts.
    query_timeout: silentAfter(statementTimeoutMs(settings)),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: asInSqlite,
  }
}

/** Milliseconds. */
export function statementTimeoutMs({ DATABASE_STATEMENT_TIMEOUT }: PostgresSettings): number {
  return DATABASE_STATEMENT_TIMEOUT * 1000
}

/**
 * The time after which the client gives up a statement that was not answered.
 *
 * @param limit statement timeout of the server, in milliseconds
 * @returns milliseconds
 */
export function silentAfter(limit: number): number {
  return limit + SILENCE_MS
}

/** The database address for messages: user, host, port and name, without the password. */
export function shownAddress({ DATABASE_URL }: PostgresSettings): string {
  const { username, hostname, port, pathname } = new URL(DATABASE_URL)
  return `postgres://${username && `${username}@`}${hostname}:${port || 5432}${pathname}`
}

function address(text: string): Pick<ClientConfig, 'user' | 'password' | 'host' | 'port' | 'database'> {
  const url = new URL(text)
  // Ignoring `?sslmode=verify-full` would leave a connection that its operator believes to be safer than it is.
  if (url.search !== '' || url.hash !== '')
    throw new OperatorError('DATABASE_URL: nothing may follow the name of the database', {
      hint: 'sslmode is DATABASE_TLS here; a ? or # in the password is written %3F or %23',
    })
  try {
    return {
      host: decodeURIComponent(url.hostname).replace(/^\[(.+)\]$/, '$1'),
      port: Number(url.port || 5432),
      database: decodeURIComponent(url.pathname.slice(1)),
      ...(url.username && { user: decodeURIComponent(url.username) }),
      ...(url.password && { password: decodeURIComponent(url.password) }),
    }
  } catch {
    throw new OperatorError('DATABASE_URL: a % that is not part of a %XX', {
      hint: 'a % in the password is written %25',
    })
  }
}

function tls({ DATABASE_TLS: mode, DATABASE_CA_FILE: file }: PostgresSettings): ClientConfig['ssl'] {
  if (mode !== 'verify') {
    if (file === undefined) return mode === 'off' ? false : { rejectUnauthorized: false }
    throw new OperatorError(`DATABASE_CA_FILE: DATABASE_TLS=${mode} checks no certificate`, {
      hint: 'set DATABASE_TLS=verify, or unset DATABASE_CA_FILE',
    })
  }
  try {
    return { rejectUnauthorized: true, ...(file !== undefined && { ca: readFileSync(file, 'utf8') }) }
  } catch (cause) {
    throw new OperatorError(`DATABASE_CA_FILE: can't read ${file}: ${(cause as NodeJS.ErrnoException).code}`, {
      cause,
      hint: 'a PEM file that this user may read',
    })
  }
}

/**
 * Values are read as node:sqlite returns them: every number as a number, true and false as 1 and 0, everything else as
 * text.
 */
const asInSqlite = {
  getTypeParser: (type: number) => {
    if (type === BOOL) return (text: string) => Number(text === 't')
    return NUMBERS.has(type) ? number : String
  },
} as CustomTypesConfig

function number(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && !Number.isSafeInteger(value))
    throw new RangeError('a number of the store is over 2^53')
  return value
}
