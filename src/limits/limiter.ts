/**
 * Rate limits and the throttle of password guesses: counters in memory, keyed by plain strings. Which request spends
 * from which quota is decided by routes and rules; nothing here knows HTTP or reads the store.
 */

import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { AppError } from '../errors/app-error.ts'
import { type Budget, createBudget, type Quota, type Spent } from './budget.ts'
import { type Admission, type Attempt, createPasswordThrottle, type Outcome, type Ticket } from './password-throttle.ts'

/**
 * Quotas that a route names as its `config.limit`. `store` is for routes that ask the database and issue nothing: every
 * route with `auth: 'live'` spends from it too, without naming it.
 */
export const ROUTE_LIMITS = [
  'login',
  'register',
  'refresh',
  'password',
  'recovery',
  'confirm',
  'token',
  'introspect',
  'store',
] as const
export type RouteLimit = (typeof ROUTE_LIMITS)[number]
export type QuotaName =
  | RouteLimit
  | 'registerEmail'
  | 'refreshSession'
  | 'passwordNetwork'
  | 'messageEmail'
  | 'tokenClient'
  | 'clientFailure'
  | 'passwordThrottled'
  | 'refusedChange'
export type Quotas = Readonly<Record<QuotaName, Quota>>

/**
 * Every counter of a server, behind three calls with plain data in and out: so one process can keep the counters for
 * all workers of a machine, which ask it by message (`cluster/shared-limiter.ts`).
 */
export interface Limiter {
  spend(name: QuotaName, key: string): Promise<Spent>
  /** Called before a password is hashed. `end` takes the ticket back with the result. */
  begin(attempt: Attempt): Promise<Admission>
  end(ticket: Ticket, outcome: Outcome): Promise<void>
}

const MINUTE_SECONDS = 60
const HOUR_SECONDS = 3600
const DAY_SECONDS = 86_400
/**
 * Failed client authentications that get a row in the audit table, per minute and network; and as many passwords that
 * were refused unseen, and changes that were refused. Without a bound an attacker could fill the store.
 */
const MAX_FAILURE_ROWS_PER_MINUTE = 60

export const quotas = (config: Config): Quotas => ({
  login: { limit: config.RATE_LIMIT_LOGIN, window: MINUTE_SECONDS },
  register: { limit: config.RATE_LIMIT_REGISTER, window: MINUTE_SECONDS },
  registerEmail: { limit: config.RATE_LIMIT_REGISTER_PER_EMAIL, window: MINUTE_SECONDS },
  refresh: { limit: config.RATE_LIMIT_REFRESH, window: MINUTE_SECONDS },
  refreshSession: { limit: config.RATE_LIMIT_REFRESH_PER_SESSION, window: MINUTE_SECONDS },
  password: { limit: config.RATE_LIMIT_PASSWORD_CHANGE, window: MINUTE_SECONDS },
  passwordNetwork: { limit: config.RATE_LIMIT_PASSWORD_CHANGE_PER_NETWORK, window: MINUTE_SECONDS },
  recovery: { limit: config.RATE_LIMIT_RECOVERY, window: MINUTE_SECONDS },
  confirm: { limit: config.RATE_LIMIT_CONFIRM, window: MINUTE_SECONDS },
  messageEmail: { limit: config.RATE_LIMIT_MESSAGES_PER_EMAIL, window: HOUR_SECONDS },
  store: { limit: config.RATE_LIMIT_STORE, window: MINUTE_SECONDS },
  token: { limit: config.RATE_LIMIT_TOKEN, window: MINUTE_SECONDS },
  introspect: { limit: config.RATE_LIMIT_INTROSPECT, window: MINUTE_SECONDS },
  clientFailure: { limit: MAX_FAILURE_ROWS_PER_MINUTE, window: MINUTE_SECONDS },
  refusedChange: { limit: MAX_FAILURE_ROWS_PER_MINUTE, window: MINUTE_SECONDS },
  passwordThrottled: { limit: MAX_FAILURE_ROWS_PER_MINUTE, window: MINUTE_SECONDS },
  tokenClient: { limit: config.RATE_LIMIT_TOKEN_PER_CLIENT, window: MINUTE_SECONDS },
})

export function createLimiter(config: Config, now: Clock): Limiter {
  const all = Object.entries(quotas(config)).map(([name, quota]) => [name, createBudget(quota, now)])
  const budgets: Record<QuotaName, Budget> = Object.fromEntries(all)
  const throttle = createPasswordThrottle({
    delays: { free: config.LOGIN_FREE_FAILURES, longest: config.LOGIN_MAX_DELAY },
    strangers: {
      account: createBudget({ limit: config.LOGIN_FAILURES_PER_ACCOUNT, window: DAY_SECONDS }, now),
      network: createBudget({ limit: config.LOGIN_FAILURES_PER_NETWORK, window: HOUR_SECONDS }, now),
      all: createBudget({ limit: config.LOGIN_FAILURES_IN_ALL, window: HOUR_SECONDS }, now),
    },
    now,
  })
  return {
    spend: async (name, key) => budgets[name].spend(key),
    begin: async (attempt) => throttle.begin(attempt),
    end: async (ticket, outcome) => throttle.end(ticket, outcome),
  }
}

/** What a rule needs of the limiter. Scripts pass NO_LIMITS. */
export type Spending = Pick<Limiter, 'spend'>

export const NO_LIMITS: Spending = {
  spend: async () => ({ allowed: true, remaining: Number.MAX_SAFE_INTEGER, resetIn: 0, retryIn: 0 }),
}

/**
 * Takes one from the quota.
 *
 * @param key whom the quota is counted for: a network, a session, an email
 * @throws AppError `too_many_requests` with Retry-After when the key has nothing left
 */
export async function spend(limiter: Spending, name: QuotaName, key: string): Promise<void> {
  const { allowed, retryIn } = await limiter.spend(name, key)
  if (!allowed) throw tooMany(retryIn, name)
}

/** @param retryIn seconds */
export function tooMany(retryIn: number, limit: string): AppError {
  return new AppError('too_many_requests', { reason: `limit: ${limit}`, headers: { 'retry-after': String(retryIn) } })
}
