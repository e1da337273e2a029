import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { Row, SqlValue, Statement } from './database.ts'

// SQLite off the event loop: this thread owns the only connection. It takes a batch of reads or of writes at a time and
// runs all writes of a batch in one transaction, each job behind a savepoint of its own. So one fsync acknowledges all
// of them, and a job that fails is rolled back alone. While another process holds the write lock, the writes wait for
// it without blocking the thread: reads need no lock and go on.

export type Job = readonly Statement[]
/** Reads need no write lock. */
export type Lane = 'reads' | 'writes'

export interface Batch {
  readonly lane: Lane
  readonly jobs: readonly Job[]
}

export interface BatchResult {
  readonly lane: Lane
  readonly results: readonly JobResult[]
}

export type JobResult =
  | { readonly rows: Row[][] }
  | { readonly failure: { readonly message: string; readonly errcode: number; readonly unavailable: boolean } }

const SAVEPOINT = { sql: 'SAVEPOINT job' }
const ROLLBACK = { sql: 'ROLLBACK TO job' }
const RELEASE = { sql: 'RELEASE job' }
const SQLITE_ERROR = 1
const SQLITE_BUSY = 5
const SQLITE_CONSTRAINT = 19
const SQLITE_RANGE = 25
const SQLITE_MISMATCH = 20
/** How long writes wait for another process that writes. */
const LOCK_TIMEOUT_MS = 5000
const LOCK_RETRY_MS = 10

const port = parentPort
if (port === null) throw new TypeError('sqlite-worker.ts runs in a worker thread')

const prepared = new Map<string, StatementSync>()
const database = await open(workerData.path as string)

port.on('message', async (message: Batch | 'close') => {
  if (message === 'close') {
    database.close()
    port.postMessage('closed')
    port.close()
    return
  }
  const { lane, jobs } = message
  const results = lane === 'reads' ? jobs.map((job) => attempt(() => job.map(run))) : await runWrites(jobs)
  port.postMessage({ lane, results } satisfies BatchResult)
})
port.postMessage('open')

/**
 * The change to WAL does not wait for the lock as other statements do: while two processes open a new file at once, one
 * of them is told at once that it is locked.
 *
 * @throws when another process has held the lock for LOCK_TIMEOUT_MS
 */
async function open(path: string): Promise<DatabaseSync> {
  const db = new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS })
  await unlessLocked(() => db.exec('PRAGMA journal_mode = WAL'))
  db.exec('PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
  return db
}

async function runWrites(jobs: readonly Job[]): Promise<JobResult[]> {
  try {
    await lock()
    const results = jobs.map(savepoint)
    database.exec('COMMIT')
    return results
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    return jobs.map(() => failed(error))
  }
}

/**
 * Begins a transaction that may write.
 *
 * @throws when another process has held the lock for LOCK_TIMEOUT_MS
 */
async function lock(): Promise<void> {
  await unlessLocked(() => {
    database.exec('PRAGMA busy_timeout = 0')
    try {
      database.exec('BEGIN IMMEDIATE')
    } finally {
      database.exec(`PRAGMA busy_timeout = ${LOCK_TIMEOUT_MS}`)
    }
  })
}

/** Tries again while another process has the lock, and throws what `work` throws after LOCK_TIMEOUT_MS. */
async function unlessLocked(work: () => void): Promise<void> {
  const giveUpAt = performance.now() + LOCK_TIMEOUT_MS
  for (;;) {
    try {
      return work()
    } catch (error) {
      const isLocked = ((error as { errcode?: number }).errcode ?? SQLITE_ERROR) % 256 === SQLITE_BUSY
      if (!isLocked || performance.now() >= giveUpAt) throw error
    }
    await sleep(LOCK_RETRY_MS)
  }
}

/**
 * @throws when SQLite itself has rolled back the whole batch (disk full, I/O error): then no job of it may be
 *   acknowledged
 */
function savepoint(statements: Job): JobResult {
  const several = statements.length > 1 // a single statement that fails undoes itself
  if (several) run(SAVEPOINT)
  const result = attempt(() => statements.map(run))
  if ('failure' in result) {
    if (!database.isTransaction)
      throw Object.assign(new Error(result.failure.message), { errcode: result.failure.errcode })
    if (several) run(ROLLBACK)
  }
  if (several) run(RELEASE)
  return result
}

function attempt(work: () => Row[][]): JobResult {
  try {
    return { rows: work() }
  } catch (error) {
    return failed(error)
  }
}

function failed(error: unknown): JobResult {
  const { message, errcode = SQLITE_ERROR } = error as Error & { errcode?: number }
  // The low byte is the primary result code. A mistake in the SQL is a bug of ours; everything else means that the
  // store is unavailable.
  const bug = [SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_RANGE].includes(errcode & 0xff)
  return { failure: { message, errcode, unavailable: !bug } }
}

function run({ sql, params = [] }: Statement): Row[] {
  let statement = prepared.get(sql)
  if (statement === undefined) {
    statement = database.prepare(sql)
    prepared.set(sql, statement)
  }
  // Given an object, node:sqlite binds `$1` by its name, "1". Given an array, it would bind in the order of first use.
  const named: Record<number, SqlValue> = {}
  for (let index = 0; index < params.length; index += 1) named[index + 1] = params[index] as SqlValue
  return statement.all(named) as Row[]
}
