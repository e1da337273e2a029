import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { SetEntry } from './revocation-set.ts'
import { writeBack } from './write-back-store.ts'

/** Entries in one transaction: as many as an audit row may name. */
const BATCH = 100
/** After a store that could not write. */
const RETRY_MS = 1000
/** More than a failover loses in a few seconds: perhaps the address of the database led to another one. */
const MANY = 5000

export interface WriteBack {
  /** Writes these into the store, in the background; again and again until it could. */
  add(lost: readonly SetEntry[]): void
  stop(): void
}

/** Gives back to a store what it lost. A failure is logged once, and holds up nothing. */
export function createWriteBack(database: Database, now: Clock, log: Pick<FastifyBaseLogger, 'info' | 'error'>) {
  let queue: SetEntry[] = []
  let isRunning = false
  let isFailing = false
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  const run = async () => {
    isRunning = true
    let written = 0
    try {
      while (queue.length > 0 && !isStopped) {
        const batch = queue.slice(0, BATCH)
        const done = await writeBack(database, batch, now())
        written += done.written
        tellDeleted(log, done.thereAgain)
        queue = queue.slice(batch.length) // others may have been added meanwhile
      }
      isFailing = false
    } catch (error) {
      if (!isFailing)
        log.error(
          { err: error, waiting: queue.length },
          'what the store lost could not be written back: it is tried again',
        )
      isFailing = true
      if (!isStopped) timer = setTimeout(run, RETRY_MS).unref()
    } finally {
      isRunning = isFailing && !isStopped
    }
    if (written > 0) log.info({ written }, 'what the store had lost was written back')
  }

  const created: WriteBack = {
    add(lost) {
      if (lost.length > MANY) tellMany(log, lost.length)
      queue = [...queue, ...lost]
      if (!isRunning) void run()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
  return created
}

function tellDeleted(log: Pick<FastifyBaseLogger, 'error'>, deleted: readonly string[]): void {
  if (deleted.length === 0) return
  log.error(
    { deleted },
    'the database has accounts or clients again that were deleted. Their tokens are refused for 17 minutes and their ' +
      'sessions are ended, but then they can be used again: suspend these accounts and delete these clients, or keep ' +
      'them. See "After a failover" in scripts/README.md',
  )
}

function tellMany(log: Pick<FastifyBaseLogger, 'error'>, lacking: number): void {
  log.error(
    { lacking },
    'the database lacks very many revocations: all are written back. If DATABASE_URL led to a copy of the database ' +
      'for a while, things that were done there are done here now: see "After a failover" in scripts/README.md',
  )
}
