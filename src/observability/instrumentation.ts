/**
 * What an operator sees: metrics, traces and the logger. The parts of the server report to the interface
 * Instrumentation and know nothing of Prometheus; the audit trail is not here but in `audit/`.
 */

import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { ErrorCode } from '../errors/app-error.ts'
import type { OAuthErrorCode } from '../errors/oauth-error.ts'
import type { Refusal } from '../errors/refusals.ts'
import type { App } from '../http/app-type.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import type { OutboxUpkeep } from '../messages/outbox-upkeep-store.ts'
import type { Revocations } from '../revocations/follow-revocations.ts'
import type { RefreshOutcomeName } from '../sessions/refresh.ts'
import type { VerifiedTokens } from '../tokens/verified-tokens.ts'

/** The reason why a token was issued, as an OAuth grant name. */
export const GRANTS = ['password', 'refresh_token', 'client_credentials'] as const
export type GrantName = (typeof GRANTS)[number]

/** State that is read when the metrics are scraped, not counted when it happens. */
export interface Sources {
  readonly keyring: Pick<LiveKeyring, 'phases' | 'state'>
  readonly revocations: Pick<Revocations, 'age' | 'size' | 'historyChanges'>
  readonly cache: Pick<VerifiedTokens, 'hits' | 'misses' | 'size'>
  readonly outbox: Pick<OutboxUpkeep, 'counts'>
  readonly gate: () => { readonly running: number; readonly waiting: number }
  readonly now: Clock
}

/**
 * The interface between the parts of the server and the metrics. The parts report what happens through it and know
 * nothing of Prometheus.
 */
export interface Instrumentation {
  /** Counts and times every response, by route. Call it before the first route is registered. */
  requests(app: App): void
  /** @param refusal why a token or its caller was refused, where one was */
  refused(code: ErrorCode | OAuthErrorCode, refusal?: Refusal): void
  /** Wraps a database, so that its calls are timed. */
  store(database: Database): Database
  /** Wraps a function that issues tokens, so that each success is counted. */
  issuing<Args extends unknown[], Result>(
    grant: GrantName,
    issue: (...args: Args) => Promise<Result>,
  ): (...args: Args) => Promise<Result>
  refreshed(outcome: RefreshOutcomeName): void
  /** @param seconds how long a password had to wait for its turn to be hashed */
  gateWaited(seconds: number): void
  state(sources: Sources): void
}

/** No metrics: nothing is hooked, wrapped or counted. */
export const NO_INSTRUMENTATION: Instrumentation = {
  requests: () => undefined,
  refused: () => undefined,
  store: (database) => database,
  issuing: (_grant, issue) => issue,
  refreshed: () => undefined,
  gateWaited: () => undefined,
  state: () => undefined,
}
