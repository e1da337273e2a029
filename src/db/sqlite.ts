import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { OperatorError } from '../errors/app-error.ts'
import { assertStorable, type Database, type Row, type SqlValue, type Statement, storeUnavailable } from './database.ts'
import type { Batch, BatchResult, Job, Lane } from './sqlite-worker.ts'

interface Pending {
  readonly job: Job
  resolve(rows: Row[][]): void
  reject(error: Error): void
}

/** Jobs of one kind: the next batch, and the one that the thread has. */
interface Queue {
  waiting: Pending[]
  running: Pending[]
}

const LANES: readonly Lane[] = ['reads', 'writes']

/** How many jobs may wait for the store. Beyond it the answer is 503 at once. */
const MAX_QUEUED_CALLS = 10_000
/** Pause before a dead thread is replaced, so that a fault that persists does not restart it in a busy loop. */
const REOPEN_AFTER_MS = 500

/**
 * Opens SQLite in a worker thread. Jobs that arrive while a batch runs are collected into the next one. Reads and
 * writes have batches of their own, so that reads do not wait while another process writes.
 *
 * @param path a file, made with mode 0600 when absent, or `:memory:`
 * @throws OperatorError when the file can't be opened or is no database
 */
export async function openSqlite(path: string): Promise<Database> {
  if (path !== ':memory:') makePrivateFile(path)
  return new SqliteDatabase(path, await startWorker(path))
}

async function startWorker(path: string): Promise<Worker> {
  const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), { workerData: { path } })
  await opened(worker, path)
  return worker
}

class SqliteDatabase implements Database {
  readonly engine = 'sqlite'
  readonly #path: string
  #worker: Worker
  readonly #queues: Readonly<Record<Lane, Queue>> = {
    reads: { waiting: [], running: [] },
    writes: { waiting: [], running: [] },
  }
  #down: string | undefined
  #closing: (() => void) | undefined
  #closed: Promise<void> | undefined

  constructor(path: string, worker: Worker) {
    this.#path = path
    this.#worker = worker
    this.#attach(worker)
  }

  #attach(worker: Worker): void {
    worker.on('message', (message: BatchResult | 'closed') => this.#settle(message))
    worker.on('error', (error) => this.#fail(`the store thread died: ${error.message}`))
    worker.on('exit', () => {
      this.#fail(this.#closing === undefined ? 'the store thread ended' : 'the store is closed')
      if (this.#closing === undefined && this.#path !== ':memory:') void this.#reopen()
    })
  }

  /** A thread that died (out of memory, for example) is replaced. Until then every job is refused at once. */
  async #reopen(): Promise<void> {
    while (this.#closing === undefined) {
      await setTimeout(REOPEN_AFTER_MS)
      try {
        this.#worker = await startWorker(this.#path)
        this.#down = undefined
        return this.#attach(this.#worker)
      } catch {}
    }
  }

  async query<R extends Row>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    assertStorable(params)
    const [rows = []] = await this.#enqueue([{ sql, params }])
    return rows as R[]
  }

  async transaction(statements: readonly Statement[]): Promise<Row[][]> {
    for (const { params } of statements) assertStorable(params)
    return this.#enqueue(statements)
  }

  /** SQLite can't notify other processes: whoever listens polls. */
  listen(): () => void {
    return () => undefined
  }

  waiting(): number {
    return LANES.reduce((sum, lane) => sum + this.#queues[lane].waiting.length, 0)
  }

  async close(): Promise<void> {
    if (this.#down !== undefined) {
      this.#closing ??= () => undefined // stops #reopen
      return
    }
    this.#closed ??= new Promise<void>((done) => {
      this.#closing = done
      this.#endWhenIdle()
    })
    await this.#closed
  }

  #enqueue(statements: readonly Statement[]): Promise<Row[][]> {
    if (this.#down !== undefined) return Promise.reject(storeUnavailable(this.#down))
    if (this.#closing !== undefined) return Promise.reject(storeUnavailable('the store is closing'))
    if (this.waiting() >= MAX_QUEUED_CALLS) return Promise.reject(storeUnavailable('too many jobs wait for the store'))
    return new Promise((resolve, reject) => {
      const lane = statements.every(({ sql }) => /^\s*SELECT\b/i.test(sql)) ? 'reads' : 'writes'
      this.#queues[lane].waiting.push({ job: statements, resolve, reject })
      this.#pump(lane)
    })
  }

  #pump(lane: Lane): void {
    const queue = this.#queues[lane]
    if (queue.running.length > 0 || queue.waiting.length === 0) return
    queue.running = queue.waiting
    queue.waiting = []
    this.#worker.postMessage({ lane, jobs: queue.running.map(({ job }) => job) } satisfies Batch)
  }

  #endWhenIdle(): void {
    const busy = LANES.some((lane) => this.#queues[lane].running.length > 0)
    if (!busy && this.#closing !== undefined) this.#worker.postMessage('close')
  }

  #settle(message: BatchResult | 'closed'): void {
    if (message === 'closed') return
    const queue = this.#queues[message.lane]
    const batch = queue.running
    queue.running = []
    message.results.forEach((result, index) => {
      const pending = batch[index]
      if ('rows' in result) pending?.resolve(result.rows)
      else pending?.reject(asError(result.failure))
    })
    this.#pump(message.lane)
    this.#endWhenIdle()
  }

  #fail(reason: string): void {
    this.#down ??= reason
    for (const queue of Object.values(this.#queues)) {
      for (const { reject } of [...queue.running, ...queue.waiting]) reject(storeUnavailable(reason))
      queue.running = []
      queue.waiting = []
    }
    this.#closing?.()
  }
}

function asError({ message, unavailable }: { message: string; unavailable: boolean }): Error {
  return unavailable ? storeUnavailable(message) : new Error(`SQLite: ${message}`)
}

/**
 * Nobody else may read accounts and password hashes. SQLite gives its side files (WAL, shared memory) the mode of the
 * main one.
 */
function makePrivateFile(path: string): void {
  try {
    mkdirSync(dirname(resolve(path)), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', 0o600))
  } catch (cause) {
    throw cannotOpen(path, (cause as NodeJS.ErrnoException).code ?? String(cause), cause)
  }
}

function opened(worker: Worker, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('message', () => {
      worker.removeAllListeners('error')
      resolve()
    })
    worker.once('error', (cause) => reject(cannotOpen(path, cause.message, cause)))
  })
}

function cannotOpen(path: string, what: string, cause: unknown): OperatorError {
  return new OperatorError(`DATABASE_URL: can't open the database ${path}: ${what}`, {
    cause,
    hint: 'the folder must exist or be creatable, and be writable for this user',
  })
}
