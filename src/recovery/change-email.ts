import { emailKey, emailsOf } from '../accounts/account.ts'
import type { Caller, ConfirmPassword } from '../accounts/confirm-password.ts'
import type { IsGone } from '../accounts/passwords.ts'
import type { RequestSource } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import { type Spending, spend } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { Enqueue } from '../messages/message.ts'
import { factsOf } from './composers.ts'
import { boundToOf } from './one-time-token-store.ts'
import { addressOf } from './proof.ts'

/**
 * Asks for another address of the own account, or for the confirmation of the present one. Nothing changes until the
 * new address is confirmed (`confirm-email.ts`). Whether somebody has that address already is not looked at here, so
 * the answer is the same.
 *
 * @returns a function that throws AppError `validation_failed`, `invalid_credentials` for a wrong password,
 *   `overloaded`, `too_many_requests`
 */
export type ChangeEmail = (
  caller: Caller,
  asked: { email: string; password: string },
  source: RequestSource,
  how: { language?: string | undefined; isGone?: IsGone },
) => Promise<void>

export function createChangeEmail(parts: {
  confirmPassword: ConfirmPassword
  limiter: Spending
  enqueue: Enqueue
  database: Pick<Database, 'transaction'>
  now: Clock
}): ChangeEmail {
  const { confirmPassword, limiter, enqueue, database, now } = parts
  return async (caller, { email: given, password }, source, { language, isGone }) => {
    const email = addressOf(given, '/new_email')
    const by = { network: networkOf(source.ip), ...(isGone && { isGone }) }
    const events = { failed: 'email_change_failed', throttled: 'email_change_throttled' } as const
    await confirmPassword({ caller, password, source, by, events }, async ({ account, sessionId }) => {
      const accountId = account.id
      await spend(limiter, 'messageEmail', emailKey(given))
      const at = now()
      const asked = { event: 'email_change_requested', detail: emailsOf(email, account.email) } as const
      const row = auditRow({ ...asked, source, accountId, sessionId }, at)
      // The message is made later, perhaps much later. A change of the account until then must make it worthless, too.
      const facts = { email, boundTo: boundToOf('email_change', account), ...factsOf(source, language) }
      const message = await enqueue({ kind: 'email_change', accountId, auditId: row.id, facts }, at)
      await database.transaction([row, ...message])
    })
  }
}
