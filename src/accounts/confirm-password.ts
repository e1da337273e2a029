import type { AuditEvent, RequestSource } from '../audit/audit.ts'
import type { AuditStore } from '../audit/audit-store.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { type Spending, spend } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { PasswordAttempts } from '../limits/password-attempts.ts'
import type { Account } from './account.ts'
import type { AccountStore } from './account-store.ts'
import type { HashFor, Passwords } from './passwords.ts'

/** Who calls with an access token: a person in a session, or a service, which has neither account nor session. */
export interface Caller {
  readonly accountId: string
  readonly sessionId: string | undefined
}

/** What is asked of somebody who is logged in already. */
export interface Confirmation {
  readonly caller: Caller
  readonly password: string
  readonly source: RequestSource
  readonly by: HashFor
  /** The rows of a wrong password, and of one that was refused unseen. */
  readonly events: { readonly failed: AuditEvent; readonly throttled: AuditEvent }
}

/** An account whose password was just shown, in a session. */
export interface Confirmed {
  readonly account: Account
  readonly sessionId: string
}

export type ConfirmPassword = <T>(asked: Confirmation, then: (confirmed: Confirmed) => Promise<T>) => Promise<T>

/**
 * Checks the password of somebody who is logged in. It is limited like the password of a login: whoever stole a token
 * must not be able to try ten thousand passwords.
 *
 * @returns a function that runs `then` when the password is right, and otherwise throws AppError `invalid_credentials`,
 *   `overloaded` or `too_many_requests`
 */
export function createConfirmPassword(parts: {
  accounts: AccountStore
  passwords: Passwords
  attempts: PasswordAttempts
  limiter: Spending
  auditStore: AuditStore
  boundedInsert: BoundedInsert
  now: Clock
}): ConfirmPassword {
  const { accounts, passwords, attempts, limiter, auditStore, boundedInsert, now } = parts

  const confirm = async ({ caller, password, source, by, events }: Confirmation): Promise<Confirmed> => {
    const { accountId, sessionId } = caller
    const account = await accounts.byId(accountId)
    const isRight = await passwords.verify(password, account?.passwordHash, by)
    if (isRight && account !== undefined && sessionId !== undefined) return { account, sessionId }
    const reason = 'the current password is wrong'
    const entry = { event: events.failed, source, accountId: account?.id, sessionId, detail: { reason } }
    await auditStore.insert(entry, now())
    throw new AppError('invalid_credentials', { reason })
  }

  return async (asked, then) => {
    const { caller, source, events } = asked
    const { accountId } = caller
    // The quota of the route is the account's. One network may have many accounts.
    await spend(limiter, 'passwordNetwork', networkOf(source.ip))
    const onThrottled = () => boundedInsert('passwordThrottled', { event: events.throttled, source, ...caller })
    const attempt = { account: accountId, ip: source.ip, accountId: async () => accountId, onThrottled }
    return attempts.judge(attempt, async () => then(await confirm(asked)))
  }
}
