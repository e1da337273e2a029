import type { AccountStore } from '../accounts/account-store.ts'
import type { Administer } from '../accounts/administer.ts'
import type { ConfirmPassword } from '../accounts/confirm-password.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { NoteRefusal } from '../administration/note-refusal.ts'
import type { AuditStore } from '../audit/audit-store.ts'
import type { BoundedInsert } from '../audit/bounded-insert.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { RefreshKey } from '../keys/refresh-keys.ts'
import type { Spending } from '../limits/limiter.ts'
import type { Enqueue } from '../messages/message.ts'
import { createChangeEmail } from './change-email.ts'
import { createConfirmEmail } from './confirm-email.ts'
import { createDisown } from './disown.ts'
import { createInvite } from './invite.ts'
import { createOneTimeTokenStore } from './one-time-token-store.ts'
import { createFindProof, createNoteRefusedProof } from './proof.ts'
import { createRecover } from './recover.ts'
import { createRecoveryStore } from './recovery-store.ts'
import { createRegisterVerified } from './register-verified.ts'
import { createUndoEmailChange } from './undo-email-change.ts'

/** Everything of this folder that the routes use. */
export function createRecoveryParts(parts: {
  database: Database
  accounts: AccountStore
  administer: Pick<Administer, 'accountFor'>
  passwords: Passwords
  confirmPassword: ConfirmPassword
  minLength: number
  isCommon: (text: string) => Promise<boolean>
  limiter: Spending
  auditStore: AuditStore
  boundedInsert: BoundedInsert
  enqueue: Enqueue
  noteRefusal: NoteRefusal
  keys: () => readonly RefreshKey[]
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  now: Clock
}) {
  const tokens = createOneTimeTokenStore(parts.database)
  const store = createRecoveryStore(parts.database)
  const findProof = createFindProof({ ...parts, tokens })
  const noteRefusedProof = createNoteRefusedProof(parts.boundedInsert)
  const undoEmailChange = createUndoEmailChange({ ...parts, tokens, store })
  return {
    oneTimeTokens: tokens,
    recover: createRecover({ ...parts, findProof, noteRefusedProof, store }),
    confirmEmail: createConfirmEmail({ ...parts, findProof, noteRefusedProof, store }),
    changeEmail: createChangeEmail(parts),
    registerVerified: createRegisterVerified(parts),
    invite: createInvite({ ...parts, accountFor: parts.administer.accountFor }),
    disown: createDisown({ ...parts, tokens, undoEmailChange }),
  }
}
