import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { randomId } from '../ids.ts'
import { type Spending, spend } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import { type Account, emailKey, isEmail, normaliseEmail, storedSpellings } from './account.ts'
import type { AccountStore } from './account-store.ts'
import { accountByEmail } from './find-account.ts'
import { checkNewPassword } from './password-rules.ts'
import type { IsGone, Passwords } from './passwords.ts'

/**
 * Account ids begin with this, and client ids do not: a `sub` can never be read as a `client_id` (RFC 9700 section
 * 4.15).
 */
export const ACCOUNT_ID_PREFIX = 'acc_'

export const newAccountId = () => `${ACCOUNT_ID_PREFIX}${randomId()}`

/** An account that works at once, and whose address nobody has confirmed yet. */
export function newAccount(
  given: Pick<Account, 'email' | 'passwordHash' | 'roles' | 'createdAt'> & { locale?: string | null | undefined },
): Account {
  return {
    ...given,
    id: newAccountId(),
    roles: [...new Set(given.roles)],
    status: 'active',
    tokenVersion: 1,
    emailVerifiedAt: null,
    awaitsConfirmation: false,
    needsRecovery: false,
    locale: given.locale ?? null,
  }
}

export interface Registration {
  readonly email: string
  readonly password: string
  readonly roles?: readonly string[]
  /** The language of messages, a BCP 47 tag. */
  readonly locale?: string
  readonly source: RequestSource
  readonly isGone?: IsGone
}

/** Creates an account, for the route and for the script. */
export type Register = (input: Registration) => Promise<Account>

/**
 * @returns a function that throws AppError `validation_failed`, `password_unacceptable`, `email_taken`, `overloaded` or
 *   `too_many_requests`
 */
export function createRegister(parts: {
  accounts: AccountStore
  passwords: Passwords
  minLength: number
  isCommon: (text: string) => Promise<boolean>
  limiter: Spending
  now: Clock
}): Register {
  const { accounts, passwords, minLength, limiter, now } = parts
  return async ({ email: given, password, roles = [], locale, source, isGone }) => {
    await spend(limiter, 'registerEmail', emailKey(given))
    const email = normaliseEmail(given)
    if (!isEmail(email))
      throw new AppError('validation_failed', { fields: [{ field: '/email', message: 'is not an email address' }] })
    await checkNewPassword(password, email, { minLength, isCommon: parts.isCommon })

    const passwordHash = await passwords.hash(password, { network: networkOf(source.ip), ...(isGone && { isGone }) })
    const account = newAccount({ email, passwordHash, roles, createdAt: now(), locale })
    const detail = account.roles.length === 0 ? {} : { roles: account.roles }
    const entry: AuditEntry = { event: 'account_registered', source, accountId: account.id, detail }
    // The unique index compares texts, and an account from before may stand there in another spelling.
    const taken = storedSpellings(given).length > 1 && (await accountByEmail(accounts, given)) !== undefined
    if (taken || !(await accounts.insert(account, entry))) throw new AppError('email_taken')
    return account
  }
}
