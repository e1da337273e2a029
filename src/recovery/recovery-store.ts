import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Statement } from '../db/database.ts'
import type { OnlyIf } from '../db/only-if.ts'
import { randomId } from '../ids.ts'
import type { EndReason } from '../revocations/revocation.ts'
import { endSessions, REVOCATIONS } from '../revocations/revocation-store.ts'
import { deleteTokens, type FoundToken, used, useToken } from './one-time-token-store.ts'

/** Changes of an account that a one-time token allows, each in one transaction with what follows from it. */
export interface RecoveryStore {
  /**
   * Sets a new password and ends every session.
   *
   * @returns false when the token was used, or the account changed, after they were read
   */
  setPassword(found: FoundToken, hash: string, now: number, audit: AuditEntry): Promise<boolean>
  /**
   * Marks the address of the account as verified, after `change.to` became that address.
   *
   * @param change.also makes what is written with it, if it takes effect: that is the condition
   * @returns false as `setPassword`, and when somebody else has the address by now
   */
  verifyEmail(
    found: FoundToken,
    change: { to: string; also?: (onlyIf: OnlyIf) => Promise<readonly Statement[]> },
    now: number,
    audit: AuditEntry,
  ): Promise<boolean>
  /**
   * Gives an account its former address back, unless another account has it. Ends every session, and nobody can log in
   * until a recovery.
   *
   * @param also makes what is written with it, if it takes effect: that is the condition
   * @returns false when the token was used already
   */
  undoEmailChange(
    found: FoundToken,
    now: number,
    audit: AuditEntry,
    also: (onlyIf: OnlyIf) => Promise<readonly Statement[]>,
  ): Promise<boolean>
}

/** Somebody else has the address `$3` of the account `$1`, or may get it back until it is `$4`. */
const TAKEN = `(EXISTS (SELECT 1 FROM accounts holder WHERE holder.email = $3 AND holder.id <> $1)
  OR EXISTS (SELECT 1 FROM one_time_tokens w WHERE w.email = $3 AND w.account_id <> $1
    AND w.purpose = 'email_change_undo' AND w.expires_at > $4))`

export function createRecoveryStore(database: Database): RecoveryStore {
  /** @param change the statement that changes the account and marks it */
  const run = async (
    found: FoundToken,
    by: {
      mark: string
      now: number
      audit: AuditEntry
      change: Statement
      ends?: EndReason
      also?: readonly Statement[]
    },
  ): Promise<boolean> => {
    const { mark, now, audit, change, ends, also = [] } = by
    const { id: accountId } = found.account
    const [, , changed = []] = await database.transaction(
      [
        ...useToken(found, mark, now),
        change,
        ...deleteTokens(found, mark),
        ...also,
        ...(ends ? endSessions({ accountId, ifChanged: true }, ends, now, mark) : []),
        auditRow(audit, now, changedBy(accountId, mark)),
      ],
      ends && REVOCATIONS,
    )
    return changed.length === 1
  }

  return {
    setPassword(found, hash, now, audit) {
      const { token, account } = found
      const mark = randomId()
      const change = {
        sql: `UPDATE accounts SET password_hash = $2, email_verified_at = COALESCE(email_verified_at, $3),
                awaits_confirmation = 0, needs_recovery = 0, changed_by = $4
              WHERE id = $1 AND status = 'active' AND password_hash = $5 AND email = $6 AND ${used('$7', '$4')}
              RETURNING id`,
        params: [account.id, hash, now, mark, account.passwordHash, account.email, token.id],
      }
      return run(found, { mark, now, audit, change, ends: 'recovered' })
    },

    async verifyEmail(found, { to, also }, now, audit) {
      const { token, account } = found
      const mark = randomId()
      const change = {
        sql: `UPDATE accounts SET email = $3, email_verified_at = $4, awaits_confirmation = 0, changed_by = $2
              WHERE id = $1 AND status = 'active' AND needs_recovery = 0 AND password_hash = $5 AND email = $6
                AND ${used('$7', '$2')} AND NOT ${TAKEN} RETURNING id`,
        params: [account.id, mark, to, now, account.passwordHash, account.email, token.id],
      }
      const statements = (await also?.(changedBy(account.id, mark))) ?? []
      try {
        return await run(found, { mark, now, audit, change, also: statements })
      } catch (error) {
        // Of two accounts that take one address at once, the unique index refuses one.
        const holder = await database.query('SELECT id FROM accounts WHERE email = $1 AND id <> $2', [to, account.id])
        if (holder.length === 1) return false
        throw error
      }
    },

    async undoEmailChange(found, now, audit, also) {
      const { token, account } = found
      const mark = randomId()
      const change = {
        sql: `UPDATE accounts
              SET email = CASE WHEN EXISTS (SELECT 1 FROM accounts holder WHERE holder.email = $3 AND holder.id <> $1)
                               THEN email ELSE $3 END,
                email_verified_at = $4, needs_recovery = 1, changed_by = $2
              WHERE id = $1 AND ${used('$5', '$2')} RETURNING id`,
        params: [account.id, mark, token.email, now, token.id],
      }
      const statements = await also(changedBy(account.id, mark))
      return run(found, { mark, now, audit, change, ends: 'disowned', also: statements })
    },
  }
}

function changedBy(accountId: string, mark: string): OnlyIf {
  return { exists: 'SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2', params: [accountId, mark] }
}
