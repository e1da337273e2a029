import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import { AppError, type ErrorCode } from '../errors/app-error.ts'
import { networkOf } from '../limits/network.ts'
import type { AccountStore } from './account-store.ts'
import type { Caller, Confirmed, ConfirmPassword } from './confirm-password.ts'
import { checkNewPassword } from './password-rules.ts'
import type { HashFor, IsGone, Passwords } from './passwords.ts'

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

/** Why a new password is refused although the current one was right. What is only busy is no refusal. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'password_unacceptable',
  'password_changed_meanwhile',
  'invalid_token',
])

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
  confirmPassword: ConfirmPassword
  boundedInsert: BoundedInsert
  minLength: number
  isCommon: (text: string) => Promise<boolean>
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  now: Clock
}): OwnAccount<Renewed> {
  const { accounts, passwords, confirmPassword, boundedInsert, minLength, isCommon, revocationsApplied, now } = parts

  const set = async ({ account, sessionId }: Confirmed, next: string, source: RequestSource, by: HashFor) => {
    const accountId = account.id
    await checkNewPassword(next, account.email, { minLength, isCommon, field: '/new_password' })
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
    async changePassword(caller, { current, next }, source, isGone) {
      const by = { network: networkOf(source.ip), ...(isGone && { isGone }) }
      const events = { failed: 'password_change_failed', throttled: 'password_change_throttled' } as const
      const asked = { caller, password: current, source, by, events }
      return confirmPassword(asked, (confirmed) =>
        set(confirmed, next, source, by).catch(async (error) => {
          if (error instanceof AppError && REFUSALS.has(error.code)) {
            const entry = { source, accountId: caller.accountId, sessionId: caller.sessionId }
            const detail = { reason: error.code }
            await boundedInsert('refusedChange', { event: 'password_change_refused', ...entry, detail })
          }
          throw error
        }),
      )
    },

    async remove({ accountId, sessionId }, source) {
      const entry: AuditEntry = { event: 'account_deleted', source, accountId, sessionId }
      const outcome = await accounts.remove(accountId, now(), entry)
      if (outcome === 'last_admin') {
        const detail = { reason: outcome }
        await boundedInsert('refusedChange', { ...entry, event: 'account_deletion_refused', detail })
        throw new AppError('last_admin')
      }
      await revocationsApplied()
    },
  }
}
