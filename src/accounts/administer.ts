import type { AuditEntry, AuditEvent, RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { AppError } from '../errors/app-error.ts'
import type { Account, AccountChange, AccountPage } from './account.ts'
import type { AccountStore } from './account-store.ts'

export interface Administer {
  page(page: AccountPage): Promise<Account[]>
  /** @throws AppError `not_found` */
  account(id: string): Promise<Account>
  /** @throws AppError `not_found`, `last_admin` */
  change(
    id: string,
    change: AccountChange,
    by: { actorId: string | undefined; source: RequestSource },
  ): Promise<Account>
  /**
   * Ends every session of an account.
   *
   * @throws AppError `not_found`
   */
  revoke(id: string, by: { actorId: string | undefined; source: RequestSource }): Promise<void>
}

/**
 * What admins do to accounts, through the API and by script. Each change resolves when this node refuses the affected
 * tokens.
 */
export function createAdminister(parts: {
  accounts: AccountStore
  revocationsApplied: () => Promise<void>
  now: Clock
}): Administer {
  const { accounts, revocationsApplied, now } = parts
  const account = async (id: string) => {
    const found = await accounts.byId(id)
    if (found === undefined) throw new AppError('not_found')
    return found
  }
  return {
    page: (page) => accounts.list(page),
    account,

    async change(id, change, { actorId, source }) {
      const entry: AuditEntry = {
        event: eventOf(change),
        source,
        accountId: id,
        actorId,
        detail: { ...(change.roles && { roles: change.roles }) },
      }
      const outcome = await accounts.change(id, change, now(), entry)
      if (outcome !== 'done') throw new AppError(outcome === 'missing' ? 'not_found' : 'last_admin')
      await revocationsApplied()
      return account(id)
    },

    async revoke(id, { actorId, source }) {
      const entry: AuditEntry = { event: 'account_revoked', source, accountId: id, actorId }
      if (!(await accounts.revoke(id, now(), entry))) throw new AppError('not_found')
      await revocationsApplied()
    },
  }
}

function eventOf({ status }: AccountChange): AuditEvent {
  if (status === 'suspended') return 'account_suspended'
  return status === 'active' ? 'account_activated' : 'roles_changed'
}
