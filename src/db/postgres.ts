import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type ClientBase, Pool, type PoolClient } from 'pg'
import { OperatorError } from '../errors/app-error.ts'
import { assertStorable, type Database, type Row, type SqlValue, type Statement, storeUnavailable } from './database.ts'
import {
  cannotOpen,
  describe,
  isBroken,
  isConflict,
  isFull,
  isOutage,
  isSilence,
  publicError,
} from './postgres-errors.ts'
import { listen } from './postgres-listen.ts'
import { Outage } from './postgres-outage.ts'
import { type Connecting, explainSilence, openSession, type Route, routeOf } from './postgres-session.ts'
import { clientConfig, type PostgresSettings, shownAddress, statementTimeoutMs } from './postgres-settings.ts'
import { runAlone, transact } from './postgres-transact.ts'

/** How many calls may wait for a connection. Beyond it the answer is 503 at once. */
const MAX_QUEUED_CALLS = 1000
/** How often a transaction is tried that conflicts with others (SQLSTATE 40001, 40P01). */
const MAX_ATTEMPTS = 5
const IDLE_TIMEOUT_MS = 60_000

/**
 * Opens PostgreSQL. Transactions are READ COMMITTED: each statement sees what others committed before it began. So a
 * transaction begins with a statement that locks the row it is about. When a connection is lost, it is unknown whether
 * the last statement was executed: the caller gets `store_unavailable`, and the change may still have been made.
 *
 * @param onRoute called when connections lead through a connection pooler, and at each change of that
 * @throws OperatorError when it can't be used; the message never shows the password
 */
export async function openPostgres(
  settings: PostgresSettings,
  onRoute: (route: Route) => void = () => undefined,
): Promise<Database> {
  const connecting = { config: clientConfig(settings), timeoutMs: statementTimeoutMs(settings) }
  const route = await tryConnection(connecting, shownAddress(settings))
  if (route === 'pooled') onRoute(route)
  return new PostgresDatabase(connecting, settings.DATABASE_POOL_SIZE, reportChanges(route, onRoute))
}

/** @returns a function that is told the route of every new connection, and reports those that differ from the last */
function reportChanges(first: Route, onRoute: (route: Route) => void): (route: Route) => void {
  let last = first
  return (route) => {
    if (route !== last) onRoute(route)
    last = route
  }
}

async function tryConnection({ config, timeoutMs }: Connecting, address: string): Promise<Route> {
  const client = new Client(config)
  client.on('error', () => undefined) // the pending call rejects with the same error
  try {
    await client.connect()
    await openSession(client, timeoutMs)
    const { rows } = await client.query("SELECT current_setting('server_encoding') AS encoding")
    if (rows[0].encoding !== 'UTF8')
      throw new OperatorError(`DATABASE_URL: the encoding of ${address} is ${rows[0].encoding}`, {
        hint: 'make a database that can hold every text: createdb --encoding=UTF8 --template=template0 NAME',
      })
    return routeOf(client)
  } catch (cause) {
    throw cause instanceof OperatorError ? cause : cannotOpen(address, cause)
  } finally {
    client.end().catch(() => undefined)
  }
}

class PostgresDatabase implements Database {
  readonly engine = 'postgres'
  readonly #connecting: Connecting
  readonly #size: number
  readonly #onConnect: (route: Route) => void
  readonly #outage = new Outage(() => this.#look(), describe)
  readonly #running = new Set<Promise<unknown>>()
  readonly #waiting = new Set<(error: unknown) => void>()
  readonly #listeners = new Set<() => Promise<void>>()
  #pool: Pool
  #closed: Promise<void> | undefined

  /** @param onConnect told the route of every new connection */
  constructor(connecting: Connecting, size: number, onConnect: (route: Route) => void) {
    this.#connecting = connecting
    this.#size = size
    this.#onConnect = onConnect
    this.#pool = this.#newPool()
  }

  async query<R extends Row>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    assertStorable(params)
    return (await this.#call((client) => runAlone(client, { sql, params }, this.#connecting.timeoutMs))) as R[]
  }

  async transaction(statements: readonly Statement[], notify?: string): Promise<Row[][]> {
    for (const { params } of statements) assertStorable(params)
    return this.#call((client) => transact(client, statements, this.#connecting.timeoutMs, notify))
  }

  listen(channel: string, onChange: () => unknown): () => void {
    if (this.#closed !== undefined) return () => undefined
    const stop = listen(this.#connecting, channel, onChange)
    this.#listeners.add(stop)
    return () => {
      this.#listeners.delete(stop)
      void stop()
    }
  }

  waiting(): number {
    return this.#pool.waitingCount
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await Promise.allSettled([...this.#running, ...[...this.#listeners].map((stop) => stop())])
    this.#outage.end()
    await this.#pool.end()
  }

  async #call<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw storeUnavailable('the store is closed')
    return this.#track(this.#attempts(work))
  }

  async #attempts<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#attempt(work)
      } catch (error) {
        if (!isConflict(error) || attempt === MAX_ATTEMPTS) throw publicError(error)
        await sleep(Math.random() * 20 * 2 ** attempt) // random, so that transactions that conflicted do not meet again
      }
    }
  }

  async #attempt<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const pool = this.#pool
    const client = await this.#connection(pool)
    try {
      const result = await work(client)
      client.release()
      return result
    } catch (error) {
      client.release(isBroken(error))
      if (!isSilence(error)) throw error
      const silence = explainSilence(client, error)
      this.#lost(pool, silence)
      throw silence
    }
  }

  async #connection(pool: Pool): Promise<PoolClient> {
    if (this.#outage.reason !== undefined) throw storeUnavailable(this.#outage.reason)
    if (pool.waitingCount >= MAX_QUEUED_CALLS) throw storeUnavailable('too many calls wait for a connection')
    try {
      return await this.#unlessLost(pool.connect())
    } catch (error) {
      if (isOutage(error)) this.#lost(pool, error)
      throw storeUnavailable(describe(error))
    }
  }

  /**
   * Rejects the waiting calls as soon as the server is found to be down. Without this they would wait until their
   * timeout.
   */
  #unlessLost(connecting: Promise<PoolClient>): Promise<PoolClient> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject)
      connecting
        .then((client) => {
          if (this.#waiting.has(reject)) resolve(client)
          else client.release()
        }, reject)
        .finally(() => this.#waiting.delete(reject))
    })
  }

  /** Resolves when the server is there, be it full. The calls then say that, and no longer that it is away. */
  async #look(): Promise<void> {
    try {
      await this.#pool.query('SELECT 1')
    } catch (error) {
      if (!isFull(error)) throw error
    }
  }

  /** No connection from before an outage is used after it: only a timeout would reveal one that was cut silently. */
  #lost(pool: Pool, error: unknown): void {
    if (pool !== this.#pool || this.#closed !== undefined) return
    this.#pool = this.#newPool()
    this.#track(pool.end()).catch(() => undefined)
    this.#outage.begin(describe(error))
    for (const reject of this.#waiting) reject(error)
    this.#waiting.clear()
  }

  #newPool(): Pool {
    const { config, timeoutMs } = this.#connecting
    const onConnect = async (client: ClientBase) => {
      await openSession(client, timeoutMs)
      this.#onConnect(routeOf(client))
    }
    const pool = new Pool({ ...config, max: this.#size, idleTimeoutMillis: IDLE_TIMEOUT_MS, onConnect })
    // Without an error listener a broken connection would end the process. The call that uses it gets the error anyway.
    pool.on('error', () => undefined)
    pool.on('connect', (client) => client.on('error', () => undefined))
    return pool
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    const done = () => this.#running.delete(work)
    work.then(done, done)
    return work
  }
}
