import { randomBytes } from 'node:crypto'
import { type Account, emailKey } from '../accounts/account.ts'
import type { AccountStore } from '../accounts/account-store.ts'
import type { Administer } from '../accounts/administer.ts'
import { accountByEmail } from '../accounts/find-account.ts'
import type { Passwords } from '../accounts/passwords.ts'
import { newAccount } from '../accounts/register.ts'
import { type Actor, notForMachines } from '../administration/actor.ts'
import type { NoteRefusal } from '../administration/note-refusal.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors/app-error.ts'
import { type Spending, spend } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { Enqueue } from '../messages/message.ts'
import { addressOf } from './proof.ts'

export interface Invite {
  /**
   * Makes an account and sends its owner a message to choose a password: nobody else ever knows it.
   *
   * @throws AppError `validation_failed`, `email_taken`, `insufficient_scope` for a machine that would give a role,
   *   `too_many_requests`, `overloaded`
   */
  create(asked: { email: string; roles?: readonly string[]; locale?: string }, by: Actor): Promise<Account>
  /**
   * Sends the owner of an account a message to set a new password. Until then nothing changes.
   *
   * @throws AppError `not_found`, `insufficient_scope` for a machine and the account of an admin, `too_many_requests`
   */
  sendRecovery(accountId: string, by: Actor): Promise<void>
}

/**
 * What admins and operators do so that somebody gets in. To one address go as many messages an hour as anybody can
 * cause, counted apart from those, and apart for admins and machines: a machine whose secret leaked fills nobody's
 * mailbox, and neither it nor whoever asks for recoveries keeps an admin from sending one.
 */
export function createInvite(parts: {
  accounts: Pick<AccountStore, 'byEmail' | 'insert'>
  accountFor: Administer['accountFor']
  passwords: Pick<Passwords, 'hash'>
  enqueue: Enqueue
  database: Pick<Database, 'transaction'>
  limiter: Spending
  noteRefusal: NoteRefusal
  now: Clock
}): Invite {
  const { accounts, accountFor, passwords, enqueue, database, limiter, noteRefusal, now } = parts
  const spendFor = (email: string, { holds }: Actor) =>
    spend(limiter, 'messageEmail', `${holds === undefined ? 'admins' : 'machines'} ${emailKey(email)}`)
  return {
    async create({ email: given, roles = [], locale }, by) {
      const { actorId, source, holds } = by
      const email = addressOf(given, '/email')
      if (holds !== undefined && roles.length > 0) {
        const refused = notForMachines('Only an admin may give a role: a machine has none itself.')
        throw await noteRefusal(refused, by, { detail: { roles } })
      }
      if ((await accountByEmail(accounts, given)) !== undefined) throw new AppError('email_taken')
      await spendFor(given, by)
      // A password that nobody knows. It is hashed as any other, so that a login looks the same.
      const unknown = randomBytes(32).toString('base64url')
      const passwordHash = await passwords.hash(unknown, { network: networkOf(source.ip) })
      // It awaits no confirmation: a registration with this address must not choose the password of an invited account.
      const account = newAccount({ email, passwordHash, roles, createdAt: now(), locale })
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

    async sendRecovery(accountId, by) {
      const { actorId, source } = by
      const { email } = await accountFor(accountId, by)
      await spendFor(email, by)
      const at = now()
      const row = auditRow({ event: 'recovery_requested', source, accountId, actorId }, at)
      await database.transaction([row, ...(await enqueue({ kind: 'recovery', accountId, auditId: row.id }, at))])
    },
  }
}
