import { emailKey } from '../accounts/account.ts'
import { checkNewPassword } from '../accounts/password-rules.ts'
import type { IsGone, Passwords } from '../accounts/passwords.ts'
import type { AuditEntry, RequestSource } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors/app-error.ts'
import { type Spending, spend } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { Enqueue } from '../messages/message.ts'
import { factsOf } from './composers.ts'
import type { FoundToken } from './one-time-token-store.ts'
import { addressOf, type FindProof, type NoteRefusedProof, type Proof } from './proof.ts'
import type { RecoveryStore } from './recovery-store.ts'

export interface Recover {
  /**
   * Asks for a message with which the owner of an address can set a new password. It does not look whether the address
   * has an account: answer and time are the same for every address. The composer looks, later.
   *
   * @param language the `Accept-Language` of the request
   * @throws AppError `validation_failed`, `too_many_requests`
   */
  request(email: string, source: RequestSource, language?: string): Promise<void>
  /**
   * Sets a new password for whoever got that message, or an invitation. Every session ends.
   *
   * A second factor, when there is one, is asked for at the login that follows: a recovery opens no session.
   *
   * @throws AppError `invalid_recovery_token`, `password_unacceptable` (the token is still good then), `overloaded`,
   *   `too_many_requests`
   */
  confirm(proof: Proof, password: string, source: RequestSource, isGone?: IsGone): Promise<void>
}

export function createRecover(parts: {
  findProof: FindProof
  noteRefusedProof: NoteRefusedProof
  store: RecoveryStore
  passwords: Passwords
  minLength: number
  isCommon: (text: string) => Promise<boolean>
  limiter: Spending
  enqueue: Enqueue
  database: Pick<Database, 'transaction'>
  /** Resolves when this node refuses the tokens that were just revoked. */
  revocationsApplied: () => Promise<void>
  now: Clock
}): Recover {
  const { findProof, noteRefusedProof, store, passwords, limiter, enqueue, database, revocationsApplied, now } = parts

  const set = async (found: FoundToken, password: string, source: RequestSource, isGone?: IsGone) => {
    const { account, token } = found
    await checkNewPassword(password, account.email, { ...parts, field: '/new_password' })
    const hash = await passwords.hash(password, { network: networkOf(source.ip), ...(isGone && { isGone }) })
    const detail = { purpose: token.purpose }
    const entry: AuditEntry = { event: 'password_recovered', source, accountId: account.id, detail }
    if (await store.setPassword(found, hash, now(), entry)) return
    throw new AppError('invalid_recovery_token', { reason: 'the token was used, or the account changed, meanwhile' })
  }

  return {
    async request(given, source, language) {
      const email = addressOf(given, '/email')
      await spend(limiter, 'messageEmail', emailKey(given))
      const at = now()
      const row = auditRow({ event: 'recovery_requested', source }, at)
      const facts = { email, ...factsOf(source, language) }
      await database.transaction([row, ...(await enqueue({ kind: 'recovery', auditId: row.id, facts }, at))])
    },

    async confirm(proof, password, source, isGone) {
      const asked = { purposes: ['recovery', 'invitation'], failed: 'recovery_failed', source } as const
      const found = await findProof(proof, asked)
      const failed = { event: asked.failed, source, accountId: found.account.id }
      await set(found, password, source, isGone).catch(noteRefusedProof(failed))
      await revocationsApplied()
    },
  }
}
