import { emailsOf } from '../accounts/account.ts'
import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { Statement } from '../db/database.ts'
import type { OnlyIf } from '../db/only-if.ts'
import type { FoundToken, OneTimeTokenStore } from './one-time-token-store.ts'
import type { RecoveryStore } from './recovery-store.ts'

/**
 * "This was not me", said of a change of address: the account gets its former address back, every session ends, and
 * nobody can log in until a recovery (which goes to that address). A suspended account stays suspended.
 *
 * @returns a function that takes what is written with it (`also`), and resolves with false when the token is not a way
 *   back, or is used or too old. It changes nothing then, and writes no audit row
 */
export type UndoEmailChange = (
  token: string,
  source: RequestSource,
  also: (found: FoundToken, onlyIf: OnlyIf) => Promise<readonly Statement[]>,
) => Promise<boolean>

export function createUndoEmailChange(parts: {
  tokens: Pick<OneTimeTokenStore, 'byToken'>
  store: Pick<RecoveryStore, 'undoEmailChange'>
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  now: Clock
}): UndoEmailChange {
  const { tokens, store, revocationsApplied, now } = parts
  return async (token, source, also) => {
    const found = await tokens.byToken(token, ['email_change_undo'], now())
    if (found === undefined) return false
    const { account, token: wayBack } = found
    const detail = emailsOf(wayBack.email, account.email)
    const entry: AuditEntry = { event: 'email_change_undone', source, accountId: account.id, detail }
    if (!(await store.undoEmailChange(found, now(), entry, (onlyIf) => also(found, onlyIf)))) return false
    await revocationsApplied()
    return true
  }
}
