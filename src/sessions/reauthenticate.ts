import type { Confirmed, ConfirmPassword } from '../accounts/confirm-password.ts'
import type { IsGone } from '../accounts/passwords.ts'
import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import { networkOf } from '../limits/network.ts'
import type { RenewedSession, SessionLimits } from './session.ts'
import type { SessionStore } from './session-store.ts'

export type Reauthenticate = (
  caller: { accountId: string; sessionId: string | undefined },
  password: string,
  source: RequestSource,
  isGone?: IsGone,
) => Promise<RenewedSession>

/**
 * A person in a session shows the password again (step-up, RFC 9470): the `auth_time` of this session becomes now, and
 * it gets a new refresh token, which makes its older ones worthless.
 *
 * @returns a function that throws AppError `invalid_credentials` for a wrong password, `overloaded`,
 *   `too_many_requests`, and `invalid_token` when the session ended or the password changed meanwhile
 */
export function createReauthenticate(parts: {
  confirmPassword: ConfirmPassword
  sessions: Pick<SessionStore, 'reauthenticate'>
  limits: SessionLimits
  now: Clock
}): Reauthenticate {
  const { confirmPassword, sessions, limits, now } = parts

  const renew = async ({ account, sessionId }: Confirmed, source: RequestSource) => {
    const audit: AuditEntry = { event: 'reauthenticated', source, accountId: account.id, sessionId }
    const confirmed = { accountId: account.id, sessionId, hash: account.passwordHash }
    const renewed = await sessions.reauthenticate(confirmed, { now: now(), limits, audit })
    if (renewed !== undefined) return renewed
    throw new AppError('invalid_token', { reason: 'the session ended, or the account changed, while it was confirmed' })
  }

  return (caller, password, source, isGone) => {
    const by = { network: networkOf(source.ip), ...(isGone && { isGone }) }
    const events = { failed: 'reauthentication_failed', throttled: 'reauthentication_throttled' } as const
    return confirmPassword({ caller, password, source, by, events }, (confirmed) => renew(confirmed, source))
  }
}
