import { type Actor, notForMachines } from '../administration/actor.ts'
import { ADMIN_ROLE } from '../administration/admin-scopes.ts'
import type { NoteRefusal } from '../administration/note-refusal.ts'
import type { AuditEntry } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import { storeUnavailable } from '../db/database.ts'
import { AppError } from '../errors/app-error.ts'
import type { Account, AccountChange, AccountPage } from './account.ts'
import type { AccountStore, ChangeOutcome } from './account-store.ts'

/** How often a change is tried again when somebody else was faster. */
const MAX_ATTEMPTS = 5

export interface Administer {
  page(page: AccountPage): Promise<Account[]>
  /** @throws AppError `not_found` */
  account(id: string): Promise<Account>
  /**
   * The account, if this actor may do something to it.
   *
   * @throws AppError `not_found`, `insufficient_scope` when a machine means an account with the role `admin`
   */
  accountFor(id: string, by: Actor): Promise<Account>
  /**
   * Changes an account. What is already as wanted is no change: no event, and no token becomes stale.
   *
   * @throws AppError `not_found`, `last_admin`, `insufficient_scope` for what a machine may not do, and
   *   `store_unavailable` when others change the account all the time
   */
  change(id: string, change: AccountChange, by: Actor): Promise<Account>
  /**
   * Ends every session of an account.
   *
   * @throws AppError `not_found`, `insufficient_scope` for what a machine may not do
   */
  revoke(id: string, by: Actor): Promise<void>
  /**
   * Deletes an account with everything that belongs to it.
   *
   * @throws AppError as `change`
   */
  remove(id: string, by: Actor): Promise<void>
}

/**
 * What admins do to accounts, through the API and by script. Each change resolves when this node refuses the affected
 * tokens.
 */
export function createAdminister(parts: {
  accounts: AccountStore
  noteRefusal: NoteRefusal
  revocationsApplied: () => Promise<void>
  now: Clock
}): Administer {
  const { accounts, noteRefusal, revocationsApplied, now } = parts
  const account = async (id: string) => {
    const found = await accounts.byId(id)
    if (found === undefined) throw new AppError('not_found')
    return found
  }
  const accountFor = async (id: string, by: Actor, change: AccountChange = {}) => {
    const found = await account(id)
    const why = by.holds === undefined ? undefined : whyNotForMachines(found, change)
    if (why === undefined) return found
    throw await noteRefusal(notForMachines(why), by, { accountId: id, detail: wanted(found, change) })
  }
  const refusal = async (outcome: ChangeOutcome, before: Account, by: Actor, change: AccountChange = {}) => {
    if (outcome === 'missing') return new AppError('not_found')
    const about = { accountId: before.id, detail: wanted(before, change) }
    return noteRefusal(new AppError('last_admin'), by, about)
  }
  return {
    page: (page) => accounts.list(page),
    account,
    accountFor,

    async change(id, change, by) {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
        const before = await accountFor(id, by, change)
        const entries = entriesOf(before, change, by)
        if (entries.length === 0) return before
        if (before.awaitsConfirmation && givesRole(before, change)) throw unconfirmed()
        const outcome = await accounts.change(id, { ...change, ifVersion: before.tokenVersion }, now(), ...entries)
        if (outcome === 'changed_meanwhile') continue
        if (outcome !== 'done') throw await refusal(outcome, before, by, change)
        await revocationsApplied()
        return account(id)
      }
      throw storeUnavailable('an account was changed by others at each attempt')
    },

    async revoke(id, by) {
      await accountFor(id, by)
      const { actorId, source } = by
      const entry: AuditEntry = { event: 'account_revoked', source, accountId: id, actorId }
      if (!(await accounts.revoke(id, now(), entry))) throw new AppError('not_found')
      await revocationsApplied()
    },

    async remove(id, by) {
      const { actorId, source } = by
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
        const before = await accountFor(id, by)
        const detail = { status_before: before.status, roles_before: before.roles }
        const entry: AuditEntry = { event: 'account_deleted', source, accountId: id, actorId, detail }
        const outcome = await accounts.remove(id, now(), entry, before.tokenVersion)
        if (outcome === 'changed_meanwhile') continue
        if (outcome !== 'done') throw await refusal(outcome, before, by)
        return revocationsApplied()
      }
      throw storeUnavailable('an account was changed by others at each attempt')
    },
  }
}

const givesRole = ({ roles }: Account, change: AccountChange) =>
  change.roles?.every((role) => roles.includes(role)) === false

/** Anybody can register an address that is not his: with a confirmation, its owner would make that password good. */
function unconfirmed(): AppError {
  const message = 'can be given once the address of this account is confirmed'
  return new AppError('validation_failed', { fields: [{ field: '/roles', message }] })
}

/** Why a machine may not do this to an account, in a sentence; undefined when it may. */
function whyNotForMachines(account: Account, change: AccountChange): string | undefined {
  // Also for one that is suspended: to activate it would make an admin.
  if (account.roles.includes(ADMIN_ROLE)) return 'Only an admin may do this to an account with the role admin.'
  // A machine has no roles, so it can give none. It may take some away.
  if (givesRole(account, change)) return 'Only an admin may give a role: a machine has none itself.'
  return undefined
}

/** What was asked for, with what it is. */
function wanted(before: Account, { status, roles }: AccountChange): AuditEntry['detail'] & object {
  return {
    ...(status !== undefined && { status }),
    ...(roles !== undefined && { roles }),
    status_before: before.status,
    roles_before: before.roles,
  }
}

/** An entry for each thing that really changes, with what it was before. */
function entriesOf(before: Account, { status, roles }: AccountChange, { actorId, source }: Actor): AuditEntry[] {
  const who = { source, accountId: before.id, actorId }
  const entries: AuditEntry[] = []
  if (status !== undefined && status !== before.status) {
    const event = status === 'suspended' ? 'account_suspended' : 'account_activated'
    entries.push({ event, ...who, detail: { status, status_before: before.status } })
  }
  if (roles !== undefined && String(roles.toSorted()) !== String(before.roles.toSorted()))
    entries.push({ event: 'roles_changed', ...who, detail: { roles, roles_before: before.roles } })
  return entries
}
