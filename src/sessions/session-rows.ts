import type { Row } from '../db/database.ts'
import type { RefreshedSession, Session, TokenSubject } from './session.ts'

// What rows of the sessions table say, for the stores that read them.

export const SESSION_COLUMNS = 'id, account_id, client_id, scope, created_at, last_used_at, expires_at, ip, user_agent'

const ACCOUNT = (column: string) => `(SELECT ${column} FROM accounts a WHERE a.id = account_id) AS ${column}`
/** Of a session and its account: what its tokens carry. */
export const REFRESHED_COLUMNS = `id, account_id, client_id, scope,
  COALESCE(auth_time, created_at) AS auth_time, counter, rotated_at, ${ACCOUNT('status')}, ${ACCOUNT('roles')},
  ${ACCOUNT('token_version')},
  ${ACCOUNT('email_verified_at')}`

export function toSession(row: Row): Session {
  return {
    id: String(row.id),
    accountId: String(row.account_id),
    clientId: String(row.client_id),
    scope: String(row.scope),
    createdAt: Number(row.created_at),
    lastUsedAt: Number(row.last_used_at),
    expiresAt: Number(row.expires_at),
    ip: row.ip === null ? null : String(row.ip),
    userAgent: row.user_agent === null ? null : String(row.user_agent),
  }
}

export function toRefreshedSession(row: Row): RefreshedSession {
  return {
    id: String(row.id),
    clientId: String(row.client_id),
    scope: String(row.scope),
    authTime: Number(row.auth_time),
    counter: Number(row.counter),
    rotatedAt: Number(row.rotated_at),
  }
}

/** @param row holds `roles`, `token_version` and `email_verified_at` of the account */
export function toTokenSubject(row: Row, accountId: string): TokenSubject {
  return {
    accountId,
    roles: JSON.parse(String(row.roles)),
    tokenVersion: Number(row.token_version),
    emailVerified: row.email_verified_at !== null,
  }
}
