import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Row, SqlValue, Statement } from '../db/database.ts'
import { randomId } from '../ids.ts'
import { revocationExpiry } from '../revocations/revocation.ts'
import { endSessions, REVOCATIONS, revokeOlderVersions, revokeWholeAccount } from '../revocations/revocation-store.ts'
import type { Account, AccountChange, AccountPage, AccountStatus, NewAccount } from './account.ts'

/** Of the row of an account, as `toAccount` reads it. */
export const ACCOUNT_COLUMNS = [
  'id',
  'email',
  'password_hash',
  'status',
  'roles',
  'token_version',
  'created_at',
  'email_verified_at',
  'awaits_confirmation',
  'needs_recovery',
  'locale',
] as const
const COLUMNS = ACCOUNT_COLUMNS.join(', ')
const IS_ADMIN = `status = 'active' AND roles LIKE '%"admin"%'`
const ANOTHER_ADMIN = `EXISTS (SELECT 1 FROM accounts other
  WHERE other.id <> $1 AND other.status = 'active' AND other.roles LIKE '%"admin"%')`
/**
 * The first statement of every transaction that may remove an admin: it serialises them, so that two admins can't both
 * be removed because each transaction still counts the other one.
 */
const ADMINS_LOCK: Statement = { sql: "UPDATE locks SET taken = taken + 1 WHERE name = 'admins'" }

export type ChangeOutcome = 'done' | 'missing' | 'last_admin' | 'changed_meanwhile'

export interface AccountStore {
  /**
   * @param also further statements of the same transaction
   * @returns false when the email is taken. The unique index decides, so two at the same time can't both succeed
   */
  insert(account: NewAccount, audit: AuditEntry, ...also: readonly Statement[]): Promise<boolean>
  byEmail(email: string): Promise<Account | undefined>
  byId(id: string): Promise<Account | undefined>
  /** Accounts by time of creation, the oldest first. */
  list(page: AccountPage): Promise<Account[]>
  /**
   * Replaces the hash that was just verified by one of the present cost.
   *
   * @returns false when the hash was changed in between; that change stays
   */
  replacePasswordHash(id: string, from: string, to: string): Promise<boolean>
  /**
   * Sets the status, the roles or both: every older token becomes stale, and a suspension ends every session.
   *
   * @param audit an entry for each of the changes
   */
  change(id: string, change: AccountChange, now: number, ...audit: AuditEntry[]): Promise<ChangeOutcome>
  /**
   * Ends every session and makes every older token stale.
   *
   * @returns false when there is no such account
   */
  revoke(id: string, now: number, audit: AuditEntry): Promise<boolean>
  /**
   * Deletes the account with its sessions, and revokes every token of it.
   *
   * @param ifVersion only if the account still has this `tokenVersion`
   */
  remove(id: string, now: number, audit: AuditEntry, ifVersion?: number): Promise<ChangeOutcome>
}

export function createAccountStore(database: Database): AccountStore {
  const byId = async (id: string) => {
    const [row] = await database.query(`SELECT ${COLUMNS} FROM accounts WHERE id = $1`, [id])
    return row && toAccount(row)
  }
  /**
   * Runs a change of one account.
   *
   * @param decisive index of the statement that returns a row if the change took effect
   */
  const changed = async (statements: readonly Statement[], decisive: number): Promise<boolean> => {
    const results = await database.transaction(statements, REVOCATIONS)
    return results[decisive]?.length === 1
  }
  const refusal = async (id: string, ifVersion?: number): Promise<ChangeOutcome> => {
    const account = await byId(id)
    if (account === undefined) return 'missing'
    return [undefined, account.tokenVersion].includes(ifVersion) ? 'last_admin' : 'changed_meanwhile'
  }

  return {
    byId,

    async insert(account, audit, ...also) {
      const { id, createdAt } = account
      const row = auditRow(audit, createdAt, { exists: 'SELECT 1 FROM accounts WHERE id = $1', params: [id] })
      const [inserted = [], held = []] = await database.transaction([...insertAccount(account), row, ...also])
      return inserted.length === 1 && held.length === 0
    },

    async byEmail(email) {
      const [row] = await database.query(`SELECT ${COLUMNS} FROM accounts WHERE email = $1`, [email])
      return row && toAccount(row)
    },

    async list({ email = null, after = { createdAt: -1, id: '' }, limit }) {
      const rows = await database.query(
        `SELECT ${COLUMNS} FROM accounts
         WHERE (CAST($1 AS TEXT) IS NULL OR email = $1) AND (created_at > $2 OR (created_at = $2 AND id > $3))
         ORDER BY created_at, id LIMIT $4`,
        [email, after.createdAt, after.id, limit],
      )
      return rows.map(toAccount)
    },

    async replacePasswordHash(id, from, to) {
      const rows = await database.query(
        'UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2 RETURNING id',
        [id, from, to],
      )
      return rows.length === 1
    },

    async change(id, { status = null, roles, evenLastAdmin = false, ifVersion }, now, ...audit) {
      const mark = randomId()
      const statements = [
        ADMINS_LOCK,
        {
          sql: `UPDATE accounts
                SET status = COALESCE(CAST($2 AS TEXT), status), roles = COALESCE(CAST($3 AS TEXT), roles),
                  token_version = token_version + 1, changed_by = $4
                WHERE id = $1 AND token_version = COALESCE(CAST($6 AS BIGINT), token_version)
                  AND (CAST($5 AS BIGINT) = 1 OR NOT (${IS_ADMIN}) OR ${ANOTHER_ADMIN}
                  OR (COALESCE(CAST($2 AS TEXT), status) = 'active'
                    AND COALESCE(CAST($3 AS TEXT), roles) LIKE '%"admin"%')) RETURNING id`,
          params: [id, status, roles ? JSON.stringify(roles) : null, mark, evenLastAdmin ? 1 : 0, ifVersion ?? null],
        },
        ...(status === 'suspended' ? endSessions({ accountId: id, ifChanged: true }, 'suspended', now, mark) : []),
        ...revokeOlderVersions(id, revocationExpiry(now)),
        ...audit.map((entry) =>
          auditRow(entry, now, {
            exists: 'SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2',
            params: [id, mark],
          }),
        ),
      ]
      return (await changed(statements, 1)) ? 'done' : refusal(id, ifVersion)
    },

    revoke(id, now, audit) {
      const mark = randomId()
      return changed(
        [
          {
            sql: 'UPDATE accounts SET token_version = token_version + 1, changed_by = $2 WHERE id = $1 RETURNING id',
            params: [id, mark],
          },
          ...consequences({ accountId: id, ifChanged: true }, 'revoked', mark, now, audit),
          ...revokeOlderVersions(id, revocationExpiry(now)),
        ],
        0,
      )
    },

    async remove(id, now, audit, ifVersion) {
      const mark = randomId()
      const statements = [
        ADMINS_LOCK,
        // Marked first: of two deletions at once only one finds its mark, and writes a row.
        {
          sql: `UPDATE accounts SET changed_by = $2
                WHERE id = $1 AND token_version = COALESCE(CAST($3 AS BIGINT), token_version)
                  AND (NOT (${IS_ADMIN}) OR ${ANOTHER_ADMIN}) RETURNING id`,
          params: [id, mark, ifVersion ?? null],
        },
        auditRow(audit, now, {
          exists: 'SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2',
          params: [id, mark],
        }),
        { sql: 'DELETE FROM accounts WHERE id = $1 AND changed_by = $2', params: [id, mark] },
        ...revokeWholeAccount(id, revocationExpiry(now)),
      ]
      return (await changed(statements, 1)) ? 'done' : refusal(id, ifVersion)
    },
  }
}

/**
 * The consequences of a change of an account, in the same transaction: sessions end and are revoked, and the audit row
 * is written.
 */
function consequences(
  which: Parameters<typeof endSessions>[0],
  reason: Parameters<typeof endSessions>[1],
  mark: string,
  now: number,
  audit: AuditEntry,
): Statement[] {
  return [
    ...endSessions(which, reason, now, mark),
    auditRow(audit, now, {
      exists: 'SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2',
      params: [which.accountId, mark],
    }),
  ]
}

/** An account may get the address `$2` back (`recovery/confirm-email.ts`). `$3` is now. */
const HELD = `EXISTS (SELECT 1 FROM one_time_tokens
  WHERE email = $2 AND purpose = 'email_change_undo' AND expires_at > $3)`

/**
 * Inserts an account, unless its email is taken: by another account, or by one that may get it back. The first
 * statement returns the id. The second takes it back, and returns it, when the insertion waited for the very change
 * that gave the address up: then it did not see yet that the address is held.
 */
export function insertAccount(account: NewAccount): Statement[] {
  const { id, email, passwordHash, status, roles, tokenVersion, createdAt } = account
  const { emailVerifiedAt = null, awaitsConfirmation = false, locale = null } = account
  const more: SqlValue[] = [tokenVersion, emailVerifiedAt, awaitsConfirmation ? 1 : 0, 0, locale]
  return [
    {
      sql: `INSERT INTO accounts (id, email, created_at, password_hash, status, roles, token_version,
              email_verified_at, awaits_confirmation, needs_recovery, locale)
            SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT),
              CAST($6 AS TEXT), CAST($7 AS BIGINT), CAST($8 AS BIGINT), CAST($9 AS BIGINT), CAST($10 AS BIGINT),
              CAST($11 AS TEXT)
            WHERE NOT ${HELD} ON CONFLICT (email) DO NOTHING RETURNING id`,
      params: [id, email, createdAt, passwordHash, status, JSON.stringify(roles), ...more],
    },
    { sql: `DELETE FROM accounts WHERE id = $1 AND ${HELD} RETURNING id`, params: [id, email, createdAt] },
  ]
}

export function toAccount(row: Row): Account {
  return {
    id: String(row.id),
    email: String(row.email),
    passwordHash: String(row.password_hash),
    status: row.status as AccountStatus,
    roles: JSON.parse(String(row.roles)),
    tokenVersion: Number(row.token_version),
    createdAt: Number(row.created_at),
    emailVerifiedAt: row.email_verified_at === null ? null : Number(row.email_verified_at),
    awaitsConfirmation: Number(row.awaits_confirmation) === 1,
    needsRecovery: Number(row.needs_recovery) === 1,
    locale: row.locale === null ? null : String(row.locale),
  }
}
