import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { SetEntry } from './revocation-set.ts'
import { writeBack } from './write-back-store.ts'

/** Entries in one transaction: as many as an audit row may name. */
const BATCH = 100
/** After a store that could not write. */
const RETRY_MS = 1000

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
        written += await writeBack(database, batch, now())
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
