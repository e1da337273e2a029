import { text } from 'node:stream/consumers'
import { read } from 'read'
import { type Account, emailsOf, isEmail, normaliseEmail } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { isCommonPassword } from '../../src/accounts/common-passwords.ts'
import { accountByEmail } from '../../src/accounts/find-account.ts'
import { checkNewPassword } from '../../src/accounts/password-rules.ts'
import { createPasswords, hashCost, hashGate } from '../../src/accounts/passwords.ts'
import { NOTE_NOTHING } from '../../src/administration/note-refusal.ts'
import type { AuditEvent, RequestSource } from '../../src/audit/audit.ts'
import type { Clock } from '../../src/clock.ts'
import type { Config } from '../../src/config/config.ts'
import type { Database } from '../../src/db/database.ts'
import { OperatorError } from '../../src/errors/app-error.ts'
import { type RefreshKey, readRefreshKeys } from '../../src/keys/refresh-keys.ts'
import { NO_LIMITS } from '../../src/limits/limiter.ts'
import { createEnqueue } from '../../src/messages/outbox-store.ts'
import { createInvite } from '../../src/recovery/invite.ts'
import { createOperatorStore } from '../../src/recovery/operator-store.ts'

// What `npm run accounts` does for somebody who can't get in, or who wants to be gone.

export interface Operating {
  readonly database: Database
  readonly config: Config
  /** In the audit rows. */
  readonly source: RequestSource
  readonly now: Clock
}

/** @throws OperatorError when there is none */
export async function accountOf({ database }: Pick<Operating, 'database'>, email: string): Promise<Account> {
  const account = await accountByEmail(createAccountStore(database), email)
  if (account !== undefined) return account
  throw new OperatorError(`there is no account ${normaliseEmail(email)}`, { hint: 'npm run accounts -- list' })
}

/**
 * @throws AppError `password_unacceptable`
 */
export async function setPassword(by: Operating, { id, email }: Account, password: string): Promise<void> {
  const { database, config, now } = by
  await checkNewPassword(password, email, { minLength: config.PASSWORD_MIN_LENGTH, isCommon: isCommonPassword })
  const hash = await createPasswords(hashCost(config), hashGate(config)).hash(password)
  const store = createOperatorStore(database)
  if (!(await store.setPassword(id, hash, now(), entry(by, id, 'password_set')))) throw gone(email)
}

export async function setEmail(by: Operating, { id, email: former }: Account, given: string): Promise<string> {
  const { database, now } = by
  const email = normaliseEmail(given)
  if (!isEmail(email)) throw new OperatorError(`${JSON.stringify(given.slice(0, 80))} is not an email address`)
  if (email === former) throw new OperatorError(`${email} is the address already`)
  const holder = await accountByEmail(createAccountStore(database), given)
  const isFree = holder === undefined || holder.id === id
  const store = createOperatorStore(database)
  if (
    isFree &&
    (await store.setEmail(id, email, now(), { ...entry(by, id, 'email_changed'), detail: emailsOf(email, former) }))
  )
    return email
  throw new OperatorError(`${email} is taken`, {
    hint: 'an account has it, or may get it back within seven days after it was changed',
  })
}

export async function remove(by: Operating, { id, email }: Account): Promise<void> {
  const outcome = await createAccountStore(by.database).remove(id, by.now(), entry(by, id, 'account_deleted'))
  if (outcome === 'last_admin')
    throw new OperatorError(`${email} is the last active admin`, { hint: 'make another account an admin first' })
  if (outcome !== 'done') throw gone(email)
}

/**
 * Puts the message into the outbox. The server sends it.
 *
 * @param passphrase of the keys folder
 */
export async function sendRecovery(by: Operating, account: Account, passphrase: string | undefined): Promise<void> {
  const { database, config, source, now } = by
  const keys: RefreshKey[] = await readRefreshKeys({ dir: config.KEYS_DIR, passphrase })
  if (keys.length === 0)
    throw new OperatorError(`KEYS_DIR: there is no refresh key in ${config.KEYS_DIR}`, {
      hint: 'start the server once',
    })
  const invite = createInvite({
    accounts: createAccountStore(database),
    accountFor: async () => account,
    passwords: createPasswords(hashCost(config), hashGate(config)),
    enqueue: createEnqueue({ refreshKeys: () => keys }),
    database,
    limiter: NO_LIMITS,
    noteRefusal: NOTE_NOTHING,
    now,
  })
  await invite.sendRecovery(account.id, { actorId: undefined, source })
}

/**
 * The password from a prompt without echo, or from the first line of standard input.
 *
 * @param undone what has not happened when the prompt is cancelled
 */
export async function readPassword(undone: string): Promise<string> {
  if (process.stdin.isTTY) {
    const typed = await read({ prompt: 'Password: ', silent: true }).catch(() => {
      throw new OperatorError(`cancelled: ${undone}`)
    })
    process.stderr.write('\n')
    return typed
  }
  const line = (await text(process.stdin)).split(/\r?\n/, 1)[0] ?? ''
  if (line === '')
    throw new OperatorError('the first line of standard input is empty', { hint: 'it is the password of the account' })
  return line
}

function entry({ source }: Operating, accountId: string, event: AuditEvent) {
  return { event, source, accountId }
}

function gone(email: string): OperatorError {
  return new OperatorError(`${email}: the account was deleted meanwhile`)
}
