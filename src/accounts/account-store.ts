import type { Database, Row } from '../db/database.ts'
import type { Account, AccountStatus } from './account.ts'

const COLUMNS = 'id, email, password_hash, status, roles, token_version, created_at'

export interface AccountStore {
  /** @returns false when the email is taken; the unique index decides, so two at once can't both win */
  insert(account: Account): Promise<boolean>
  byEmail(email: string): Promise<Account | undefined>
  /** Accounts by creation, oldest first. */
  list(): Promise<Account[]>
  /** Puts a new hash in the place of the one that was verified; another change in between wins. */
  replacePasswordHash(id: string, from: string, to: string): Promise<void>
  /** @returns false when there is no such account */
  setStatus(id: string, status: AccountStatus): Promise<boolean>
  /** @returns false when there is no such account */
  setRoles(id: string, roles: readonly string[]): Promise<boolean>
}

export function createAccountStore(database: Database): AccountStore {
  return {
    async insert({ id, email, passwordHash, status, roles, tokenVersion, createdAt }) {
      const rows = await database.query(
        `INSERT INTO accounts (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (email) DO NOTHING RETURNING id`,
        [id, email, passwordHash, status, JSON.stringify(roles), tokenVersion, createdAt],
      )
      return rows.length === 1
    },

    async byEmail(email) {
      const [row] = await database.query(`SELECT ${COLUMNS} FROM accounts WHERE email = $1`, [email])
      return row && toAccount(row)
    },

    async list() {
      const rows = await database.query(`SELECT ${COLUMNS} FROM accounts ORDER BY created_at, id`)
      return rows.map(toAccount)
    },

    async replacePasswordHash(id, from, to) {
      await database.query('UPDATE accounts SET password_hash = $3 WHERE id = $1 AND password_hash = $2', [
        id,
        from,
        to,
      ])
    },

    async setStatus(id, status) {
      const rows = await database.query(
        'UPDATE accounts SET status = $2, token_version = token_version + 1 WHERE id = $1 RETURNING id',
        [id, status],
      )
      return rows.length === 1
    },

    async setRoles(id, roles) {
      const rows = await database.query(
        'UPDATE accounts SET roles = $2, token_version = token_version + 1 WHERE id = $1 RETURNING id',
        [id, JSON.stringify(roles)],
      )
      return rows.length === 1
    },
  }
}

function toAccount(row: Row): Account {
  return {
    id: String(row.id),
    email: String(row.email),
    passwordHash: String(row.password_hash),
    status: row.status as AccountStatus,
    roles: JSON.parse(String(row.roles)),
    tokenVersion: Number(row.token_version),
    createdAt: Number(row.created_at),
  }
}
