import { randomBytes } from 'node:crypto'
import type { Account } from '../accounts/account.ts'
import type { AccountStore } from '../accounts/account-store.ts'
import { accountByEmail } from '../accounts/find-account.ts'
import type { Passwords } from '../accounts/passwords.ts'
import { newAccountId } from '../accounts/register.ts'
import type { RequestSource } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors/app-error.ts'
import type { Enqueue } from '../messages/message.ts'
import { addressOf } from './proof.ts'

/** Who acts: an admin, or a script, which has no account. */
export interface By {
  readonly actorId: string | undefined
  readonly source: RequestSource
}

export interface Invite {
  /**
   * Makes an account and sends its owner a message to choose a password: nobody else ever knows it.
   *
   * @throws AppError `validation_failed`, `email_taken`
   */
  create(asked: { email: string; roles?: readonly string[]; locale?: string }, by: By): Promise<Account>
  /**
   * Sends the owner of an account a message to set a new password. Until then nothing changes.
   *
   * @throws AppError `not_found`
   */
  sendRecovery(accountId: string, by: By): Promise<void>
}

/** What admins and operators do so that somebody gets in. Limits are the caller's. */
export function createInvite(parts: {
  accounts: Pick<AccountStore, 'byEmail' | 'byId' | 'insert'>
  passwords: Pick<Passwords, 'hash'>
  enqueue: Enqueue
  database: Pick<Database, 'transaction'>
  now: Clock
}): Invite {
  const { accounts, passwords, enqueue, database, now } = parts
  return {
    async create({ email: given, roles = [], locale }, { actorId, source }) {
      const email = addressOf(given, '/email')
      if ((await accountByEmail(accounts, given)) !== undefined) throw new AppError('email_taken')
      const account: Account = {
        id: newAccountId(),
        email,
        // A password that nobody knows. It is hashed as any other, so that a login looks the same.
        passwordHash: await passwords.hash(randomBytes(32).toString('base64url')),
        status: 'active',
        roles: [...new Set(roles)],
        tokenVersion: 1,
        createdAt: now(),
        emailVerifiedAt: null,
        // It waits for nothing: a registration with this address must not choose the password of an invited account.
        awaitsConfirmation: false,
        needsRecovery: false,
        locale: locale ?? null,
      }
      const { id, createdAt } = account
      const entry = {
        event: 'account_invited',
        source,
        accountId: id,
        actorId,
        detail: { roles: account.roles },
      } as const
      const inserted = { exists: 'SELECT 1 FROM accounts WHERE id = $1', params: [id] }
      const message = await enqueue({ kind: 'invitation', accountId: id }, createdAt, inserted)
      if (!(await accounts.insert(account, entry, ...message))) throw new AppError('email_taken')
      return account
    },

    async sendRecovery(accountId, { actorId, source }) {
      const account = await accounts.byId(accountId)
      if (account === undefined) throw new AppError('not_found')
      const at = now()
      const row = auditRow({ event: 'recovery_requested', source, accountId, actorId }, at)
      await database.transaction([row, ...(await enqueue({ kind: 'recovery', accountId, auditId: row.id }, at))])
    },
  }
}
