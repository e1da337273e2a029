import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { SessionStore } from './session-store.ts'

export type LogoutScope = 'session' | 'others' | 'all'

export interface EndSession {
  /** Ends the caller's session, the other ones, or all. */
  logout(
    caller: { accountId: string; sessionId: string | undefined },
    scope: LogoutScope,
    source: RequestSource,
  ): Promise<void>
  /**
   * Ends one session of an account.
   *
   * @param of.actorId who ends it, when it is not its owner
   * @returns false when it belongs to somebody else, or has ended or expired
   */
  one(of: { accountId: string; actorId?: string | undefined }, id: string, source: RequestSource): Promise<boolean>
}

/**
 * Ending a session is one transaction with its revocation. It resolves when this node refuses the tokens of the
 * session.
 */
export function createEndSession(parts: {
  sessions: SessionStore
  revocationsApplied: () => Promise<void>
  now: Clock
}): EndSession {
  const { sessions, revocationsApplied, now } = parts
  const end = async (which: Parameters<SessionStore['end']>[0], entry: AuditEntry): Promise<number> => {
    const ended = await sessions.end(which, 'logout', now(), entry)
    await revocationsApplied()
    return ended
  }
  return {
    async logout({ accountId, sessionId }, scope, source) {
      const which = scope === 'all' ? {} : scope === 'others' ? { except: sessionId ?? '' } : { id: sessionId ?? '' }
      await end({ accountId, ...which }, { event: 'logout', source, accountId, sessionId, detail: { scope } })
    },
    async one({ accountId, actorId }, id, source) {
      const entry: AuditEntry = { event: 'session_ended', source, accountId, sessionId: id, actorId }
      return (await end({ accountId, id, liveOnly: true }, entry)) > 0
    },
  }
}
