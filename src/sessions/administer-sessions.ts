import type { RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { EndSession } from './end-session.ts'
import type { Session } from './session.ts'
import type { SessionStore } from './session-store.ts'

export interface AdministerSessions {
  /**
   * The live sessions of an account, the last used first.
   *
   * @throws AppError `not_found` when there is no such account
   */
  list(accountId: string): Promise<Session[]>
  /**
   * Ends one session. It resolves when this node refuses the tokens of the session.
   *
   * @throws AppError `not_found` when the account has no such live session
   */
  end(accountId: string, id: string, by: { actorId: string | undefined; source: RequestSource }): Promise<void>
}

/** What admins do to the sessions of others. */
export function createAdministerSessions(parts: {
  /** Rejects with AppError `not_found` when there is no such account. */
  account: (id: string) => Promise<unknown>
  list: SessionStore['list']
  endSession: EndSession
  now: Clock
}): AdministerSessions {
  const { account, list, endSession, now } = parts
  return {
    async list(accountId) {
      await account(accountId)
      return list(accountId, now())
    },
    async end(accountId, id, { actorId, source }) {
      if (!(await endSession.one({ accountId, actorId }, id, source))) throw new AppError('not_found')
    },
  }
}
