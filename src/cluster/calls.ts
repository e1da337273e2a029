import type { Limiter } from '../limits/limiter.ts'
import type { Collected } from '../observability/aggregate-metrics.ts'

/** The functions of the primary that a worker may call. */
export type PrimaryCalls = {
  readonly spend: Limiter['spend']
  readonly begin: Limiter['begin']
  readonly end: Limiter['end']
  /** Notifies all other workers on a channel of the database. Resolves when they have read the change. */
  readonly publish: (channel: string) => Promise<void>
  /** From now on this worker gets notifications. Called before it accepts its first connection. */
  readonly join: () => void
  /** This worker can't start: the reason, in words for the operator. */
  readonly failed: (message: string, hint: string | undefined) => void
}

/** The functions of a worker that the primary may call. */
export type WorkerCalls = {
  /** Resolves when this worker has read the change that the channel notifies. */
  readonly changed: (channel: string) => Promise<void>
  readonly metrics: () => Promise<Collected>
  /** Reads the keys folder again. */
  readonly reload: () => Promise<void>
  /** Lets requests in flight finish, and then ends the process. */
  readonly drain: () => void
}
