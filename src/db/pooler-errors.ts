import type { DatabaseError } from 'pg'

// What connection poolers answer in the place of PostgreSQL. PgBouncer gives nearly all of its errors the code 08P01,
// also those that it passes on from a server that refused it: only the message tells them apart.

export interface PoolerError {
  /** True when something is there but has no place for one more connection: no reason to take it to be down. */
  readonly full: boolean
  /** What it means, for the log. */
  readonly meaning: string
  /** What the operator can do. */
  readonly hint: string
}

const NO_MORE_CLIENTS: PoolerError = {
  full: true,
  meaning: 'the connection pooler takes no more clients',
  hint: 'the pooler runs: raise max_client_conn there, or lower DATABASE_POOL_SIZE on each server',
}
const SERVER_FULL: PoolerError = {
  full: true,
  meaning: 'PostgreSQL gives the connection pooler no more connections',
  hint: 'both run: raise max_connections of PostgreSQL, or lower default_pool_size of the pooler',
}
const NONE_FREE: PoolerError = {
  full: true,
  meaning: 'the connection pooler had no connection to PostgreSQL free in time',
  hint: 'the pooler runs: raise default_pool_size there, and look whether PostgreSQL behind it answers',
}
const SERVER_AWAY: PoolerError = {
  full: false,
  meaning: 'the connection pooler is there, but PostgreSQL behind it is not',
  hint: 'the pooler runs; PostgreSQL must run too, and accept connections from the pooler',
}
const CUT: PoolerError = { ...SERVER_AWAY, meaning: 'the connection pooler cut the connection' }
const UNKNOWN_DATABASE: PoolerError = {
  full: false,
  meaning: 'the connection pooler does not know this database',
  hint: 'name it in the section [databases] of pgbouncer.ini',
}
const NOT_LET_IN: PoolerError = {
  full: false,
  meaning: 'the connection pooler does not let this user in',
  hint: 'check user and password, and the auth_file of the pooler',
}

const MAX_CLIENTS = /^no more connections allowed|^client connections exceeded|^max client(s| connections) reached/i

const KNOWN: readonly (readonly [RegExp, PoolerError])[] = [
  [MAX_CLIENTS, NO_MORE_CLIENTS],
  [/too many connections for|too many clients already|remaining connection slots/, SERVER_FULL],
  [/^query_wait_timeout/, NONE_FREE],
  [/server_login_retry|^server login|server down|^pgbouncer cannot connect|^client_login_timeout/, SERVER_AWAY],
  [/database system is (starting up|shutting down|in recovery)/, SERVER_AWAY],
  [/^query timeout|^idle transaction timeout|^client_idle_timeout|^server conn/, CUT],
  [/^no such database|does not allow connections/, UNKNOWN_DATABASE],
  [/^(SASL|password) authentication failed|^no such user|^auth failed|^login rejected/, NOT_LET_IN],
]

/** What an error of a connection pooler means; undefined for every other error. */
export function poolerError({ code, message }: Pick<DatabaseError, 'code' | 'message'>): PoolerError | undefined {
  if (code === '08P01') return KNOWN.find(([pattern]) => pattern.test(message))?.[1]
  // Supavisor's code for it is that of an internal error of PostgreSQL.
  return code === 'XX000' && MAX_CLIENTS.test(message) ? NO_MORE_CLIENTS : undefined
}
