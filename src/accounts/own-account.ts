import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { AuditStore } from '../audit/audit-store.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { type Spending, spend } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { PasswordAttempts } from '../limits/password-attempts.ts'
import type { AccountStore } from './account-store.ts'
import { checkNewPassword } from './password-rules.ts'
import type { IsGone, Passwords } from './passwords.ts'

export interface Caller {
  readonly accountId: string
  readonly sessionId: string | undefined
}

/** @typeParam Renewed what a session is after it got a new refresh token (`sessions/`) */
export interface OwnAccount<Renewed> {
  /**
   * Sets a new password, ends every other session, and makes the refresh tokens of this one worthless.
   *
   * @returns this session, for a new pair of tokens
   * @throws AppError `invalid_credentials` for a wrong current password, `password_unacceptable`,
   *   `password_changed_meanwhile`, `overloaded`, `too_many_requests`, `invalid_token` when the session ended meanwhile
   */
  changePassword(
    caller: Caller,
    passwords: { current: string; next: string },
    source: RequestSource,
    isGone?: IsGone,
  ): Promise<Renewed>
  /**
   * Deletes the account.
   *
   * @throws AppError `last_admin`
   */
  remove(caller: Caller, source: RequestSource): Promise<void>
}

export function createOwnAccount<Renewed>(parts: {
  accounts: AccountStore
  /** In one transaction. @returns undefined when nothing changed: another was faster, or the session is over */
  setPassword: (
    password: { accountId: string; sessionId: string; hashes: { from: string; to: string } },
    now: number,
    audit: AuditEntry,
  ) => Promise<Renewed | undefined>
  isLive: (sessionId: string, accountId: string, now: number) => Promise<boolean>
  passwords: Passwords
  attempts: PasswordAttempts
  limiter: Spending
  auditStore: AuditStore
  boundedInsert: BoundedInsert
  minLength: number
  isCommon: (text: string) => Promise<boolean>
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  now: Clock
}): OwnAccount<Renewed> {
  const { accounts, passwords, attempts, limiter, minLength, isCommon, revocationsApplied, now } = parts
  const { auditStore, boundedInsert } = parts

  const change: OwnAccount<Renewed>['changePassword'] = async (
    { accountId, sessionId },
    { current, next },
    source,
    isGone,
  ) => {
    const account = await accounts.byId(accountId)
    const by = { network: networkOf(source.ip), ...(isGone && { isGone }) }
    const isRight = await passwords.verify(current, account?.passwordHash, by)
    // A service has neither an account nor a session.
    if (!isRight || account === undefined || sessionId === undefined) {
      const reason = 'the current password is wrong'
      const event = 'password_change_failed'
      await auditStore.insert({ event, source, accountId: account?.id, sessionId, detail: { reason } }, now())
      throw new AppError('invalid_credentials', { reason })
    }
    await checkNewPassword(next, account.email, { minLength, isCommon })
    const hashes = { from: account.passwordHash, to: await passwords.hash(next, by) }
    const entry: AuditEntry = { event: 'password_changed', source, accountId, sessionId }
    const renewed = await parts.setPassword({ accountId, sessionId, hashes }, now(), entry)
    if (renewed !== undefined) {
      await revocationsApplied()
      return renewed
    }
    if (await parts.isLive(sessionId, accountId, now())) throw new AppError('password_changed_meanwhile')
    throw new AppError('invalid_token', { reason: 'the session ended while the password was changed' })
  }

  return {
    async changePassword(caller, given, source, isGone) {
      // The quota of the route is the account's. One network may have many accounts.
      await spend(limiter, 'passwordNetwork', networkOf(source.ip))
      // Limited like the password of a login: whoever stole a token must not be able to try ten thousand passwords.
      const { accountId } = caller
      const onThrottled = () =>
        boundedInsert('passwordThrottled', { event: 'password_change_throttled', source, ...caller })
      const attempt = { account: accountId, ip: source.ip, accountId: async () => accountId, onThrottled }
      return attempts.judge(attempt, () => change(caller, given, source, isGone))
    },

    async remove({ accountId, sessionId }, source) {
      const entry: AuditEntry = { event: 'account_deleted', source, accountId, sessionId }
      const outcome = await accounts.remove(accountId, now(), entry)
      if (outcome === 'last_admin') throw new AppError('last_admin')
      await revocationsApplied()
    },
  }
}
