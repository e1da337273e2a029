import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { OnlyIf } from '../db/only-if.ts'
import { AppError } from '../errors/app-error.ts'
import type { Enqueue } from '../messages/message.ts'
import { factsOf } from './composers.ts'
import { disownAccount } from './disown-store.ts'
import type { FoundToken, OneTimeTokenStore } from './one-time-token-store.ts'
import type { UndoEmailChange } from './undo-email-change.ts'

/** @param by.language in which the recovery message is written when the account has none: `Accept-Language` */
export type Disown = (token: string, by: { source: RequestSource; language: string | undefined }) => Promise<void>

/**
 * "This was not me", from the link of a notice. The account's sessions end, nobody can log in, and its address gets the
 * message with which a new password is set. The link of the message about a change of address first gives the account
 * its former address back.
 *
 * Whoever reads the mailbox could do all this without the link: ask for a recovery, and set a password. So the link
 * gives a thief of the mailbox nothing new. It is bound to the address that it was sent to, and not to the password: a
 * thief who changes the password does not make it worthless. It shows no secret and grants no session.
 *
 * @returns a function that throws AppError `invalid_recovery_token`, the same for every refusal
 */
export function createDisown(parts: {
  database: Database
  tokens: Pick<OneTimeTokenStore, 'byToken'>
  undoEmailChange: UndoEmailChange
  enqueue: Enqueue
  boundedInsert: BoundedInsert
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  now: Clock
}): Disown {
  const { database, tokens, undoEmailChange, enqueue, boundedInsert, revocationsApplied, now } = parts
  const refuse = async (source: RequestSource, reason: string, accountId?: string): Promise<never> => {
    await boundedInsert('refusedChange', { event: 'disown_failed', source, accountId, detail: { reason } })
    throw new AppError('invalid_recovery_token', { reason })
  }

  return async (token, { source, language }) => {
    const at = now()
    /** The row of the event, and the message with which the owner gets in. */
    const consequences = async ({ token: { purpose, email }, account }: FoundToken, onlyIf: OnlyIf) => {
      const detail = { by: purpose }
      const entry: AuditEntry = { event: 'account_disowned', source, accountId: account.id, detail }
      const facts = { email, ...factsOf(source, language) }
      return [auditRow(entry, at, onlyIf), ...(await enqueue({ kind: 'recovery', facts }, at, onlyIf))]
    }
    if (await undoEmailChange(token, source, consequences)) return
    const found = await tokens.byToken(token, ['not_me'], at)
    if (found === undefined) return refuse(source, 'no such token')
    const { id, email } = found.account
    if (found.token.email !== email) return refuse(source, 'the address changed after the message', id)
    if (!(await disownAccount(database, found, at, consequences))) return refuse(source, 'used meanwhile', id)
    await revocationsApplied()
  }
}
