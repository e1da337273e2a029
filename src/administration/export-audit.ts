import { Readable } from 'node:stream'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { Cursor } from '../http/paging.ts'
import type { AuditTrail, TrailEvent, TrailFilter } from './audit-trail.ts'

/** Events that are in memory at a time, for one export. */
const BATCH = 500
/** Each asks the store all the time, so there are few at once in each process, and one of each actor. */
const MAX_EXPORTS_AT_ONCE = 2
const RETRY_SECONDS = 10

/**
 * A text with one line for each event, made while it is read. It ends with the second in which it began: events that
 * come meanwhile are not in it. The store is asked for the next batch only when the last one was taken, and not any
 * more once the stream is destroyed, also while nothing is found.
 *
 * @param by.actorId who reads: slow readers with one token must not keep out everybody else
 * @param by.assertAllowed asked before each further batch: what it throws breaks the stream off
 * @throws AppError `too_many_requests` when others export, `store_unavailable` when the first batch can't be read. A
 *   later failure breaks the stream off
 */
export type ExportAudit = (
  filter: TrailFilter,
  after: Cursor | undefined,
  by: { readonly actorId: string; readonly assertAllowed: () => void },
) => Promise<Readable>

/** @param parts.line the line of an event, without its end */
export function createExportAudit(parts: {
  trail: AuditTrail
  line: (event: TrailEvent) => string
  now: Clock
}): ExportAudit {
  const { trail, line, now } = parts
  const running = new Set<string>()

  return async (filter, after, { actorId, assertAllowed }) => {
    if (running.size >= MAX_EXPORTS_AT_ONCE || running.has(actorId)) {
      const headers = { 'retry-after': String(RETRY_SECONDS) }
      throw new AppError('too_many_requests', { reason: 'other exports of the audit trail run', headers })
    }
    const ended = { ...filter, to: Math.min(filter.to ?? Number.MAX_SAFE_INTEGER, now() + 1) }
    const read = (from: Cursor | undefined) => trail.page(ended, { after: from, limit: BATCH })
    running.add(actorId)
    let isOver = false
    const leave = () => {
      if (!isOver) running.delete(actorId)
      isOver = true
    }
    try {
      const goesOn = (): boolean => {
        assertAllowed()
        return !stream.destroyed
      }
      const stream: Readable = Readable.from(lines(await read(after), { read, line, goesOn, leave }), {
        objectMode: false,
      })
      // Also when nobody reads it to its end: a generator that was not begun has no `finally`.
      return stream.once('close', leave)
    } catch (error) {
      leave()
      throw error
    }
  }
}

type Batch = Awaited<ReturnType<AuditTrail['page']>>

async function* lines(
  first: Batch,
  by: {
    read: (after: Cursor) => Promise<Batch>
    line: (event: TrailEvent) => string
    goesOn: () => boolean
    leave: () => void
  },
): AsyncGenerator<string> {
  const { read, line, goesOn, leave } = by
  for (let batch = first; ; ) {
    const { events, lookedTo } = batch
    if (events.length > 0) yield events.map((event) => `${line(event)}\n`).join('')
    const next = events.length === BATCH ? events.at(-1) : lookedTo
    // A generator that yields nothing is not told that its reader has gone.
    if (next === undefined || !goesOn()) return leave() // before the reader sees the end, and asks again
    batch = await read(next)
  }
}
