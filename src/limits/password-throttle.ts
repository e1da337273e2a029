import { LruMap } from 'toad-cache'
import type { Clock } from '../clock.ts'
import { type Budget, MAX_KEYS } from './budget.ts'

/**
 * One guess at a password: for which account, from which network. Whether the account exists is not known here, and
 * must not be.
 */
export interface Attempt {
  readonly account: string
  readonly network: string
  /** True when the store knows a live session of this account from this network. */
  readonly fromKnownNetwork?: boolean
}

/** What the caller of `begin` keeps until `end`. Plain data, like everything here: it may travel between processes. */
export interface Ticket {
  readonly account: string
  readonly network: string
  readonly stranger: boolean
}

export type Admission =
  | { readonly admitted: true; readonly ticket: Ticket }
  /**
   * `stranger`: refused because the allowance for networks unknown to the account is used up. The account's own people
   * may still log in.
   */
  | { readonly admitted: false; readonly retryIn: number; readonly stranger: boolean }

/** `void`: the password was not checked (the queue was full, the store was away, the client left). */
export type Outcome = 'succeeded' | 'failed' | 'void'

export interface PasswordThrottle {
  begin(attempt: Attempt): Admission
  end(ticket: Ticket, outcome: Outcome): void
}

export interface Delays {
  /** Failures in a row before delays begin; 0 = never. */
  readonly free: number
  /** The longest delay, in seconds. */
  readonly longest: number
}

/** How many wrong passwords are allowed from networks that an account does not know, counted in three ways. */
export interface StrangerBudgets {
  readonly account: Budget
  readonly network: Budget
  readonly all: Budget
}

interface Pair {
  readonly failures: number
  /** Epoch seconds from which the next attempt is admitted. */
  readonly until: number
  readonly lastAt: number
  /** Somebody gave the right password from this network: failures from other networks do not count against it. */
  readonly known: boolean
}

/** A pair without an attempt for a day starts again without failures. */
const FORGET_AFTER_SECONDS = 86_400

/** Seconds to wait after this number of failures in a row: 0 for the free ones, then 1, 2, 4, … up to `longest`. */
export function delayAfter(failures: number, { free, longest }: Delays): number {
  return free === 0 || failures < free ? 0 : Math.min(2 ** (failures - free), longest)
}

/**
 * Decides who may try a password now. Failures in a row delay the pair (account, network) exponentially. Networks from
 * which nobody ever logged in ("strangers") also share three allowances: of the account, of the network, and of all
 * together. So an owner on a known network is never locked out by what others do elsewhere (ASVS 6.3.1), and an account
 * sees fewer than 100 wrong passwords a day (NIST SP 800-63B).
 *
 * An attempt counts as failed from the moment it begins: a hundred guesses sent at once are no cheaper than one after
 * the other.
 */
export function createPasswordThrottle(parts: {
  delays: Delays
  strangers: StrangerBudgets
  now: Clock
  mostPairs?: number
}): PasswordThrottle {
  const { delays, strangers, now, mostPairs = MAX_KEYS } = parts
  const pairs = new LruMap<Pair>(mostPairs)
  const keyOf = ({ account, network }: Attempt | Ticket): string => `${account} ${network}`

  const pairOf = (attempt: Attempt | Ticket): Pair => {
    const pair = pairs.get(keyOf(attempt))
    const instant = now()
    if (pair === undefined) return { failures: 0, until: 0, lastAt: instant, known: false }
    const ahead = pair.lastAt - instant
    if (ahead <= 0) return -ahead < FORGET_AFTER_SECONDS ? pair : { ...pair, failures: 0, until: 0 }
    // The clock was set back: the rest of the delay stays, counted from the new time. Nobody waits until the clock is
    // where it was.
    const rebased = { ...pair, until: Math.max(0, pair.until - ahead), lastAt: instant }
    pairs.set(keyOf(attempt), rebased)
    return rebased
  }

  return {
    begin(attempt) {
      const pair = pairOf(attempt)
      const instant = now()
      if (pair.until > instant) return { admitted: false, retryIn: pair.until - instant, stranger: false }
      const stranger = !pair.known && attempt.fromKnownNetwork !== true
      const retryIn = stranger ? chargeStranger(strangers, attempt) : 0
      if (retryIn > 0) return { admitted: false, retryIn, stranger: true }

      const failures = pair.failures + 1
      const until = instant + delayAfter(failures, delays)
      pairs.set(keyOf(attempt), { failures, until, lastAt: instant, known: !stranger })
      return { admitted: true, ticket: { account: attempt.account, network: attempt.network, stranger } }
    },

    end(ticket, outcome) {
      if (outcome === 'failed') return
      if (ticket.stranger) for (const [budget, key] of strangerBudgets(strangers, ticket)) budget.refund(key)
      const pair = pairOf(ticket)
      const failures = outcome === 'succeeded' ? 0 : Math.max(0, pair.failures - 1)
      const until = delayAfter(failures, delays) === 0 ? 0 : pair.until
      const known = pair.known || outcome === 'succeeded'
      if (failures > 0 || known) pairs.set(keyOf(ticket), { ...pair, failures, until, known })
      else pairs.delete(keyOf(ticket)) // an empty pair must not push another one out of the LRU map
    },
  }
}

function strangerBudgets({ account, network, all }: StrangerBudgets, by: Attempt | Ticket): [Budget, string][] {
  return [
    [account, by.account],
    [network, by.network],
    [all, ''],
  ]
}

/**
 * Charges all three budgets, or none of them.
 *
 * @returns seconds to wait; 0 when charged
 */
function chargeStranger(strangers: StrangerBudgets, attempt: Attempt): number {
  const charges = strangerBudgets(strangers, attempt).map(([budget, key]) => ({
    budget,
    key,
    spent: budget.spend(key),
  }))
  if (charges.every(({ spent }) => spent.allowed)) return 0
  for (const { budget, key, spent } of charges) if (spent.allowed) budget.refund(key)
  return Math.max(...charges.map(({ spent }) => spent.retryIn))
}
