import { emailKey } from '../accounts/account.ts'
import type { AccountStore } from '../accounts/account-store.ts'
import { insertAccount } from '../accounts/account-store.ts'
import { accountByEmail } from '../accounts/find-account.ts'
import { checkNewPassword } from '../accounts/password-rules.ts'
import type { Passwords } from '../accounts/passwords.ts'
import { newAccountId, type Registration } from '../accounts/register.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import { type Spending, spend } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { Enqueue } from '../messages/message.ts'
import { factsOf } from './composers.ts'
import { addressOf } from './proof.ts'

/**
 * Registration with REGISTRATION=verified: the account works once its address is confirmed.
 *
 * Answer and work are the same whether or not the address has an account. Of an account that still waits, the newest
 * registration sets the password: the message with the newest token confirms that one, and no other. The owner of an
 * account that works gets a message that says so.
 *
 * @returns a function that throws AppError `validation_failed`, `password_unacceptable`, `overloaded`,
 *   `too_many_requests`
 */
export type RegisterVerified = (input: Registration, language?: string) => Promise<void>

export function createRegisterVerified(parts: {
  accounts: Pick<AccountStore, 'byEmail'>
  passwords: Passwords
  minLength: number
  isCommon: (text: string) => Promise<boolean>
  limiter: Spending
  enqueue: Enqueue
  database: Pick<Database, 'transaction'>
  now: Clock
}): RegisterVerified {
  const { accounts, passwords, limiter, enqueue, database, now } = parts
  return async ({ email: given, password, locale = null, source, isGone }, language) => {
    await spend(limiter, 'registerEmail', emailKey(given))
    const email = addressOf(given, '/email')
    await spend(limiter, 'messageEmail', emailKey(given))
    await checkNewPassword(password, email, parts)
    const hash = await passwords.hash(password, { network: networkOf(source.ip), ...(isGone && { isGone }) })

    const id = newAccountId()
    const at = now()
    const known = await accountByEmail(accounts, given)
    // Where it stands in the store already, also when it stands there in another spelling.
    const stored = known?.email ?? email
    const waiting = { exists: 'SELECT 1 FROM accounts WHERE email = $1 AND awaits_confirmation = 1', params: [stored] }
    const working = { exists: 'SELECT 1 FROM accounts WHERE email = $1 AND awaits_confirmation = 0', params: [stored] }
    const facts = { email: stored, ...factsOf(source, language) }
    const account = { id, email: stored, passwordHash: hash, status: 'active', roles: [], tokenVersion: 1 } as const
    await database.transaction([
      ...insertAccount({ ...account, createdAt: at, awaitsConfirmation: true, locale }),
      {
        sql: `UPDATE accounts SET password_hash = $2, locale = COALESCE($3, locale)
              WHERE email = $1 AND awaits_confirmation = 1`,
        params: [stored, hash, locale],
      },
      auditRow({ event: 'account_registered', source, accountId: id }, at, {
        exists: 'SELECT 1 FROM accounts WHERE id = $1',
        params: [id],
      }),
      auditRow({ event: 'registration_repeated', source, accountId: known?.id }, at, {
        exists: 'SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = $1)',
        params: [id],
      }),
      ...(await enqueue({ kind: 'registration', facts }, at, waiting)),
      ...(await enqueue({ kind: 'registration_repeated', facts }, at, working)),
    ])
  }
}
