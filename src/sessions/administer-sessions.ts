import type { Administer } from '../accounts/administer.ts'
import type { Actor } from '../administration/actor.ts'
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
   * @throws AppError `not_found` when the account has no such live session, `insufficient_scope` when a machine means
   *   a session of an admin
   */
  end(accountId: string, id: string, by: Actor): Promise<void>
}

/** What admins do to the sessions of others. */
export function createAdministerSessions(parts: {
  accounts: Pick<Administer, 'account' | 'accountFor'>
  list: SessionStore['list']
  endSession: EndSession
  now: Clock
}): AdministerSessions {
  const { accounts, list, endSession, now } = parts
  return {
    async list(accountId) {
      await accounts.account(accountId)
      return list(accountId, now())
    },
    async end(accountId, id, by) {
      await accounts.accountFor(accountId, by)
      const { actorId, source } = by
      if (!(await endSession.one({ accountId, actorId }, id, source))) throw new AppError('not_found')
    },
  }
}
