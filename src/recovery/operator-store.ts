import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { endSessions, REVOCATIONS } from '../revocations/revocation-store.ts'

/** What only an operator may do to an account, by script. Each is one transaction, with its audit row. */
export interface OperatorStore {
  /**
   * Sets a password, ends every session, and lets the account log in, whatever it waited for. A suspended account stays
   * suspended, and its address is as verified as before.
   *
   * @returns false when there is no such account
   */
  setPassword(accountId: string, hash: string, now: number, audit: AuditEntry): Promise<boolean>
  /**
   * Sets another address, which nobody has confirmed. All one-time tokens of the account become worthless, the ways
   * back after a change of address as well: the operator decided whose account it is.
   *
   * @returns false when the address is taken, or held for an account that may get it back, or the account is gone
   */
  setEmail(accountId: string, email: string, now: number, audit: AuditEntry): Promise<boolean>
}

export function createOperatorStore(database: Pick<Database, 'transaction'>): OperatorStore {
  const changedBy = (accountId: string, mark: string) => ({
    exists: 'SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2',
    params: [accountId, mark],
  })
  return {
    async setPassword(accountId, hash, now, audit) {
      const mark = randomId()
      const [rows = []] = await database.transaction(
        [
          {
            sql: `UPDATE accounts SET password_hash = $2, awaits_confirmation = 0, needs_recovery = 0, changed_by = $3
                  WHERE id = $1 RETURNING id`,
            params: [accountId, hash, mark],
          },
          ...endSessions({ accountId, ifChanged: true }, 'password_changed', now, mark),
          auditRow(audit, now, changedBy(accountId, mark)),
        ],
        REVOCATIONS,
      )
      return rows.length === 1
    },

    async setEmail(accountId, email, now, audit) {
      const mark = randomId()
      const [rows = []] = await database.transaction([
        {
          sql: `UPDATE accounts SET email = $2, email_verified_at = NULL, awaits_confirmation = 0, changed_by = $3
                WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM accounts holder WHERE holder.email = $2 AND holder.id <> $1)
                  AND NOT EXISTS (SELECT 1 FROM one_time_tokens w WHERE w.email = $2 AND w.account_id <> $1
                    AND w.purpose = 'email_change_undo' AND w.expires_at > $4)
                RETURNING id`,
          params: [accountId, email, mark, now],
        },
        {
          sql: `DELETE FROM one_time_tokens WHERE account_id = $1
                AND EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2)`,
          params: [accountId, mark],
        },
        auditRow(audit, now, changedBy(accountId, mark)),
      ])
      return rows.length === 1
    },
  }
}
