import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { Row, SqlValue, Statement } from './database.ts'

// SQLite off the event loop: this thread owns the only connection. It takes a batch of jobs at a time and runs all
// writes of the batch in one transaction, each job behind a savepoint of its own. So one fsync acknowledges all of
// them, and a job that fails is rolled back alone.

export interface Job {
  readonly statements: readonly Statement[]
  /** False for reads, which need no write lock. */
  readonly writes: boolean
}

export type JobResult =
  | { readonly rows: Row[][] }
  | { readonly failure: { readonly message: string; readonly errcode: number; readonly unavailable: boolean } }

const SAVEPOINT = { sql: 'SAVEPOINT job' }
const ROLLBACK = { sql: 'ROLLBACK TO job' }
const RELEASE = { sql: 'RELEASE job' }
const SQLITE_ERROR = 1
const SQLITE_CONSTRAINT = 19
const SQLITE_RANGE = 25
const SQLITE_MISMATCH = 20

const port = parentPort
if (port === null) throw new TypeError('sqlite-worker.ts runs in a worker thread')

const prepared = new Map<string, StatementSync>()
const database = open(workerData.path as string)

port.on('message', (message: Job[] | 'close') => {
  if (message === 'close') {
    database.close()
    port.postMessage('closed')
    port.close()
  } else {
    port.postMessage(runBatch(message))
  }
})
port.postMessage('open')

function open(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 5000 })
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
  return db
}

function runBatch(jobs: readonly Job[]): JobResult[] {
  const results = new Array<JobResult>(jobs.length)
  const writers: number[] = []
  jobs.forEach((job, index) => {
    if (job.writes) writers.push(index)
    else results[index] = attempt(() => job.statements.map(run))
  })
  if (writers.length === 0) return results

  try {
    database.exec('BEGIN IMMEDIATE')
    for (const index of writers) results[index] = savepoint((jobs[index] as Job).statements)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    for (const index of writers) results[index] = failed(error)
  }
  return results
}

/**
 * @throws when SQLite itself has rolled back the whole batch (disk full, I/O error): then no job of it may be
 *   acknowledged
 */
function savepoint(statements: readonly Statement[]): JobResult {
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
