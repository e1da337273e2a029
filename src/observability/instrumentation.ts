import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { ErrorCode } from '../errors/app-error.ts'
import type { OAuthErrorCode } from '../errors/oauth-error.ts'
import type { App } from '../http/app-type.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import type { Revocations } from '../revocations/follow-revocations.ts'
import type { RefreshOutcomeName } from '../sessions/refresh.ts'
import type { VerifiedTokens } from '../tokens/verified-tokens.ts'

/** What a token was issued for, in the words of OAuth. */
export const GRANTS = ['password', 'refresh_token', 'client_credentials'] as const
export type GrantName = (typeof GRANTS)[number]

/** What is not counted when it happens but read when somebody asks. */
export interface Sources {
  readonly keyring: Pick<LiveKeyring, 'phases' | 'state'>
  readonly revocations: Pick<Revocations, 'age' | 'size'>
  readonly cache: Pick<VerifiedTokens, 'hits' | 'misses' | 'size'>
  readonly gate: () => { readonly running: number; readonly waiting: number }
  readonly now: Clock
}

/** Who watches the server. The parts tell it what happens through this narrow door, and know nothing of Prometheus. */
export interface Instrumentation {
  /** Counts and times every answer, by route. Before the first route. */
  requests(app: App): void
  refused(code: ErrorCode | OAuthErrorCode): void
  /** The same database, timed. */
  store(database: Database): Database
  /** The same function, counted when it has issued. */
  issuing<Args extends unknown[], Result>(
    grant: GrantName,
    issue: (...args: Args) => Promise<Result>,
  ): (...args: Args) => Promise<Result>
  refreshed(outcome: RefreshOutcomeName): void
  /** @param seconds that a password had to wait for its turn to be hashed */
  gateWaited(seconds: number): void
  state(sources: Sources): void
}

/** Nobody watches: nothing is hooked, wrapped or counted. */
export const NO_INSTRUMENTATION: Instrumentation = {
  requests: () => undefined,
  refused: () => undefined,
  store: (database) => database,
  issuing: (_grant, issue) => issue,
  refreshed: () => undefined,
  gateWaited: () => undefined,
  state: () => undefined,
}
