import { emailKey } from '../accounts/account.ts'
import type { AccountStore } from '../accounts/account-store.ts'
import { accountByEmail } from '../accounts/find-account.ts'
import type { HashFor, IsGone, Passwords } from '../accounts/passwords.ts'
import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { AuditStore } from '../audit/audit-store.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import { AppError, type ErrorCode } from '../errors/app-error.ts'
import { randomId } from '../ids.ts'
import { networkOf } from '../limits/network.ts'
import type { PasswordAttempts } from '../limits/password-attempts.ts'
import { FIRST_PARTY_CLIENT } from '../tokens/issue.ts'
import { COOKIE_TRANSPORT } from './cookie-transport.ts'
import type { Session, SessionLimits } from './session.ts'
import type { SessionStore } from './session-store.ts'
import type { IssuePair, TokenPair } from './token-pair.ts'

export type Login = (
  credentials: { email: string; password: string; transport?: 'body' | 'cookie' },
  source: RequestSource,
  isGone?: IsGone,
) => Promise<TokenPair>

function succeeded({ id, accountId }: Session, source: RequestSource, transport?: 'body' | 'cookie'): AuditEntry {
  const entry: AuditEntry = { event: 'login_succeeded', source, accountId, sessionId: id }
  return transport === 'cookie' ? { ...entry, detail: COOKIE_TRANSPORT } : entry
}

/**
 * Password login: opens a session and issues its first pair of tokens.
 *
 * @returns a function that throws AppError `invalid_credentials` for an unknown email, a wrong password and a suspended
 *   account (same answer and same work for all three: ASVS 6.3.8), `email_unverified` and `recovery_required` for the
 *   right password of an account that waits for that, `overloaded` when the queue for hashing is full,
 *   `too_many_requests` when account or network have failed too often
 */
export function createLogin(parts: {
  accounts: AccountStore
  passwords: Passwords
  attempts: PasswordAttempts
  sessions: SessionStore
  limits: SessionLimits
  issuePair: IssuePair
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  auditStore: AuditStore
  boundedInsert: BoundedInsert
  now: Clock
}): Login {
  const { accounts, passwords, attempts, sessions, limits, issuePair, revocationsApplied, auditStore, now } = parts
  const { boundedInsert } = parts

  const refuse = async (
    source: RequestSource,
    accountId: string | undefined,
    reason: string,
    code: ErrorCode = 'invalid_credentials',
  ): Promise<never> => {
    const entry: AuditEntry = { event: 'login_failed', source, accountId, detail: { reason } }
    await auditStore.insert(entry, now())
    throw new AppError(code, { reason })
  }

  const logIn: Login = async ({ email, password, transport }, source, isGone) => {
    const account = await accountByEmail(accounts, email)
    const by = { network: networkOf(source.ip), ...(isGone && { isGone }) }
    const matches = await passwords.verify(password, account?.passwordHash, by)
    if (account === undefined) return refuse(source, undefined, 'unknown email')
    if (!matches) return refuse(source, account.id, 'wrong password')
    if (account.status !== 'active') return refuse(source, account.id, `account ${account.status}`)
    // Only who shows the right password learns what the account waits for.
    if (account.needsRecovery) return refuse(source, account.id, 'account needs a recovery', 'recovery_required')
    if (account.awaitsConfirmation) return refuse(source, account.id, 'address not confirmed', 'email_unverified')

    const hash = await renewed(account, password, by)
    const instant = now()
    const session = {
      id: randomId(),
      accountId: account.id,
      clientId: FIRST_PARTY_CLIENT,
      scope: '',
      createdAt: instant,
      lastUsedAt: instant,
      expiresAt: instant + limits.idleTtl,
      ip: source.ip,
      userAgent: source.userAgent,
    }
    const entry = succeeded(session, source, transport)
    const opened = await sessions.open(session, hash, limits, entry)
    if (opened === undefined) return refuse(source, account.id, 'the account changed during the login')
    if (opened.ended > 0) await revocationsApplied()
    return issuePair({ ...session, authTime: instant, counter: 0, rotatedAt: instant }, opened.subject)
  }

  /**
   * Hashes the password again when the hash was made at another cost than the present one.
   *
   * @returns the hash that is stored for the account after that
   */
  async function renewed(
    { id, passwordHash }: { id: string; passwordHash: string },
    password: string,
    by: HashFor,
  ): Promise<string> {
    if (!passwords.needsRehash(passwordHash)) return passwordHash
    try {
      const fresh = await passwords.hash(password, by)
      return (await accounts.replacePasswordHash(id, passwordHash, fresh)) ? fresh : passwordHash
    } catch (error) {
      // A login with the right password must not fail because there was no room to renew the hash: the next login tries
      // again.
      if (error instanceof AppError) return passwordHash
      throw error
    }
  }
  return (credentials, source, isGone) => {
    const { email } = credentials
    const accountId = async () => (await accountByEmail(accounts, email))?.id
    const onThrottled = () =>
      boundedInsert('passwordThrottled', { event: 'login_throttled', source }, async () => ({
        accountId: await accountId(),
      }))
    const attempt = { account: emailKey(email), ip: source.ip, accountId, onThrottled }
    return attempts.judge(attempt, () => logIn(credentials, source, isGone))
  }
}
