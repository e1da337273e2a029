import type { Limiter } from '../limits/limiter.ts'
import type { Collected } from '../observability/aggregate-metrics.ts'

/** What a worker asks of the primary. */
export type PrimaryCalls = {
  readonly spend: Limiter['spend']
  readonly begin: Limiter['begin']
  readonly end: Limiter['end']
  /** Tells all other workers that a channel of the database has news. Resolves when they know it. */
  readonly publish: (channel: string) => Promise<void>
  /** From now on this worker is told of news. Asked before it takes its first connection. */
  readonly join: () => void
  /** It can't start: why, in words for the operator. */
  readonly failed: (message: string, hint: string | undefined) => void
}

/** What the primary asks of a worker. */
export type WorkerCalls = {
  /** Resolves when this worker knows the news of a channel. */
  readonly changed: (channel: string) => Promise<void>
  readonly metrics: () => Promise<Collected>
  /** To look at the keys folder. */
  readonly reload: () => Promise<void>
  /** To let requests in flight finish, and to end. */
  readonly drain: () => void
}
