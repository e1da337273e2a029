import { type Account, emailsOf } from '../accounts/account.ts'
import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import type { Clock } from '../clock.ts'
import type { Statement } from '../db/database.ts'
import type { OnlyIf } from '../db/only-if.ts'
import { AppError } from '../errors/app-error.ts'
import type { RefreshKey } from '../keys/refresh-keys.ts'
import type { Enqueue, Facts } from '../messages/message.ts'
import { factsOf } from './composers.ts'
import { mintOneTimeToken } from './one-time-token.ts'
import { storeWayBack } from './one-time-token-store.ts'
import type { FindProof, NoteRefusedProof, Proof } from './proof.ts'
import type { RecoveryStore } from './recovery-store.ts'

/**
 * Confirms an address: that of a registration, or a new one. A new address takes effect now. The owner of the former
 * one gets a message with a way back, and nobody else can have that address while the way is open.
 *
 * @returns a function that throws AppError `invalid_recovery_token`, also when somebody else has the address by now
 */
export type ConfirmEmail = (proof: Proof, source: RequestSource, language?: string) => Promise<void>

export function createConfirmEmail(parts: {
  findProof: FindProof
  noteRefusedProof: NoteRefusedProof
  store: Pick<RecoveryStore, 'verifyEmail'>
  enqueue: Enqueue
  keys: () => readonly RefreshKey[]
  now: Clock
}): ConfirmEmail {
  const { findProof, noteRefusedProof, store, enqueue, keys, now } = parts
  return async (proof, source, language) => {
    const asked = { purposes: ['registration', 'email_change'], failed: 'email_confirmation_failed', source } as const
    const found = await findProof(proof, asked)
    const { account, token } = found
    const at = now()
    const to = token.purpose === 'email_change' ? token.email : account.email
    const isChange = to !== account.email
    const who = { source, accountId: account.id }
    const entry: AuditEntry = isChange
      ? { event: 'email_changed', ...who, detail: emailsOf(to, account.email) }
      : { event: 'email_verified', ...who }
    const also = (onlyIf: OnlyIf) => wayBack(account, { at, facts: factsOf(source, language), onlyIf })
    if (await store.verifyEmail(found, { to, ...(isChange && { also }) }, at, entry)) return
    const reason = 'used, or the account or the address changed, meanwhile'
    const failed = { event: asked.failed, ...who }
    await noteRefusedProof(failed)(new AppError('invalid_recovery_token', { reason }))
  }

  /** The token with which the former owner gets the address back, and the message with it. */
  async function wayBack(
    { id, email }: Account,
    by: { at: number; facts: Facts; onlyIf: OnlyIf },
  ): Promise<Statement[]> {
    const { at, onlyIf } = by
    const asked = { purpose: 'email_change_undo', accountId: id, email, boundTo: '', keys: keys(), now: at } as const
    const { row, token } = mintOneTimeToken(asked)
    const facts = { ...by.facts, email, token, until: String(row.expiresAt) }
    const message = await enqueue({ kind: 'email_change_notice', accountId: id, facts }, at, onlyIf)
    return [storeWayBack(row, onlyIf), ...message]
  }
}
