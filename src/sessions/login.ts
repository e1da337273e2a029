import { normaliseEmail } from '../accounts/account.ts'
import type { AccountStore } from '../accounts/account-store.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors.ts'
import { randomId } from '../ids.ts'
import type { Audit, Origin } from '../observability/audit.ts'
import { FIRST_PARTY_CLIENT, type IssueAccessToken, type IssuedToken } from '../tokens/issue.ts'
import type { SessionStore } from './session-store.ts'

export type Login = (credentials: { email: string; password: string }, origin: Origin) => Promise<IssuedToken>

/**
 * Password login: opens a session and issues a token for it.
 *
 * @returns a function that throws AppError `invalid_credentials` for an unknown email, a wrong password and a suspended account
 *   alike (same answer, same work: ASVS 6.3.8), `overloaded` when too many wait
 */
export function createLogin(parts: {
  accounts: AccountStore
  passwords: Passwords
  sessions: SessionStore
  issue: IssueAccessToken
  audit: Audit
  now: Clock
}): Login {
  const { accounts, passwords, sessions, issue, audit, now } = parts

  return async ({ email, password }, origin) => {
    const account = await accounts.byEmail(normaliseEmail(email))
    const matches = await passwords.verify(password, account?.passwordHash)
    if (account === undefined || !matches || account.status !== 'active') {
      const reason = account === undefined ? 'unknown email' : matches ? `account ${account.status}` : 'wrong password'
      audit('login_failed', origin, { account_id: account?.id, reason })
      throw new AppError('invalid_credentials', { reason })
    }
    if (passwords.needsRehash(account.passwordHash)) {
      await accounts.replacePasswordHash(account.id, account.passwordHash, await passwords.hash(password))
    }

    const session = {
      id: randomId(),
      accountId: account.id,
      createdAt: now(),
      ip: origin.ip,
      userAgent: origin.userAgent,
    }
    await sessions.insert(session)
    audit('login_succeeded', origin, { account_id: account.id, session_id: session.id })
    return issue({
      sub: account.id,
      client_id: FIRST_PARTY_CLIENT,
      sid: session.id,
      auth_time: session.createdAt,
      roles: [...account.roles],
      token_version: account.tokenVersion,
    })
  }
}
