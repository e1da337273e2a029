import { AppError } from '../errors/app-error.ts'
import type { Limiter } from '../limits/limiter.ts'
import type { Ticket } from '../limits/password-throttle.ts'
import type { PrimaryCalls } from './calls.ts'
import type { Rpc } from './rpc.ts'

/** A request that could not be counted in this time is refused. */
const LIMITER_TIMEOUT_MS = 1000

/**
 * The limiter of a worker: the primary counts everything. When the primary does not answer, every limited request is
 * refused with 503: a flood that overloads the counters must not switch them off.
 */
export function createRemoteLimiter(rpc: Pick<Rpc<PrimaryCalls>, 'call'>): Limiter {
  const unanswered = (cause: Error) => {
    throw new AppError('overloaded', { reason: `limits: ${cause.message}`, cause })
  }
  const end: Limiter['end'] = (ticket, outcome) =>
    // The password was checked and the store has been written. If this call fails, the attempt stays counted as a wrong
    // password.
    rpc.call('end', [ticket, outcome], { timeoutMs: LIMITER_TIMEOUT_MS }).catch(() => undefined)
  return {
    spend: (name, key) => rpc.call('spend', [name, key], { timeoutMs: LIMITER_TIMEOUT_MS }).catch(unanswered),
    begin: (attempt) =>
      rpc
        .call('begin', [attempt], {
          timeoutMs: LIMITER_TIMEOUT_MS,
          late: (admission) => {
            if (admission.admitted) void end(admission.ticket, 'void') // the request was refused already
          },
        })
        .catch(unanswered),
    end,
  }
}

/** The limiter as the primary offers it to one worker. */
export interface WorkerLimiter {
  readonly calls: Limiter
  /** Call it when the worker is gone: its open attempts count as not made. */
  leave(): void
}

export function createWorkerLimiter(limiter: Limiter): WorkerLimiter {
  const open = new Map<string, { readonly ticket: Ticket; count: number }>()
  const keyOf = ({ account, network, stranger }: Ticket) => JSON.stringify([account, network, stranger])

  /** @returns false when the ticket is not open: each ticket ends only once */
  const take = (ticket: Ticket): boolean => {
    const entry = open.get(keyOf(ticket))
    if (entry === undefined) return false
    entry.count -= 1
    if (entry.count === 0) open.delete(keyOf(ticket))
    return true
  }

  return {
    calls: {
      spend: limiter.spend,
      async begin(attempt) {
        const admission = await limiter.begin(attempt)
        if (admission.admitted) {
          const { ticket } = admission
          const entry = open.get(keyOf(ticket)) ?? { ticket, count: 0 }
          entry.count += 1
          open.set(keyOf(ticket), entry)
        }
        return admission
      },
      async end(ticket, outcome) {
        if (take(ticket)) await limiter.end(ticket, outcome)
      },
    },
    leave() {
      for (const { ticket, count } of [...open.values()])
        for (let i = 0; i < count; i += 1) void limiter.end(ticket, 'void')
      open.clear()
    },
  }
}
