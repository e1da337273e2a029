import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Row, SqlValue, Statement } from '../db/database.ts'
import type { PageOf } from '../http/paging.ts'
import { randomId } from '../ids.ts'
import { revocationExpiry } from '../revocations/revocation.ts'
import { REVOCATIONS, revokeOlderClientTokens, revokeWholeClient } from '../revocations/revocation-store.ts'
import type { Client, ClientAuthMethod, ClientStatus } from './client.ts'

export interface ClientStore {
  /** @param secretHash undefined for a client that authenticates with keys */
  insert(client: Client, secretHash: string | undefined, audit: AuditEntry): Promise<void>
  byId(id: string): Promise<Client | undefined>
  /** A client of any status, with the hashes of its secrets that have not expired. */
  forAuthentication(id: string, now: number): Promise<{ client: Client; secretHashes: string[] } | undefined>
  /** Clients by time of creation, the oldest first. */
  list(page: PageOf): Promise<Client[]>
  /** Sets a new secret. The previous one stays good for `overlap` seconds, and any older one ends now. */
  rotateSecret(
    id: string,
    next: { hash: string; overlap: number },
    now: number,
    audit: AuditEntry,
  ): Promise<'done' | 'missing' | 'no_secret'>
  /** Sets the status, and revokes every token issued before. */
  setStatus(id: string, status: ClientStatus, now: number, audit: AuditEntry): Promise<'done' | 'unchanged' | 'missing'>
  /**
   * Deletes the client and revokes every token of it.
   *
   * @returns false when there is no such client
   */
  remove(id: string, now: number, audit: AuditEntry): Promise<boolean>
  /**
   * @returns false when this client has used an assertion of this id before. The primary key decides, for all nodes
   *   together
   */
  useAssertion(id: string, jtiHash: string, expiresAt: number): Promise<boolean>
  /** Deletes expired assertions and secrets. */
  deleteExpired(now: number): Promise<void>
}

const COLUMNS = 'id, name, scope, audience, ttl, auth_method, jwks, jwks_uri, status, token_version, created_at'
const CHANGED = 'SELECT 1 FROM clients WHERE id = $1 AND changed_by = $2'

export function createClientStore(database: Database): ClientStore {
  const byId = async (id: string) => {
    const [row] = await database.query(`SELECT ${COLUMNS} FROM clients WHERE id = $1`, [id])
    return row && toClient(row)
  }
  /** Runs a change of one client. Its first statement returns a row if the change took effect. */
  const changed = async (statements: readonly Statement[], notify?: string): Promise<boolean> => {
    const [rows = []] = await database.transaction(statements, notify)
    return rows.length === 1
  }

  return {
    byId,

    async insert(client, secretHash, audit) {
      await database.transaction([
        insertClient(client),
        ...(secretHash === undefined ? [] : [insertSecret(client.id, secretHash, client.createdAt)]),
        auditRow(audit, client.createdAt),
      ])
    },

    async forAuthentication(id, now) {
      const rows = await database.query(
        `SELECT ${COLUMNS.replaceAll(/\w+/g, 'c.$&')}, s.hash AS secret_hash
         FROM clients c LEFT JOIN client_secrets s ON s.client_id = c.id AND (s.expires_at IS NULL OR s.expires_at > $2)
         WHERE c.id = $1`,
        [id, now],
      )
      if (rows[0] === undefined) return undefined
      const secretHashes = rows.flatMap(({ secret_hash: hash }) => (typeof hash === 'string' ? [hash] : []))
      return { client: toClient(rows[0]), secretHashes }
    },

    async list({ after = { createdAt: -1, id: '' }, limit }) {
      const rows = await database.query(
        `SELECT ${COLUMNS} FROM clients WHERE created_at > $1 OR (created_at = $1 AND id > $2)
         ORDER BY created_at, id LIMIT $3`,
        [after.createdAt, after.id, limit],
      )
      return rows.map(toClient)
    },

    async rotateSecret(id, { hash, overlap }, now, audit) {
      const mark = randomId()
      const done = await changed([
        // The client row is locked first, so that two rotations at the same time run one after the other.
        {
          sql: "UPDATE clients SET changed_by = $2 WHERE id = $1 AND auth_method <> 'private_key_jwt' RETURNING id",
          params: [id, mark],
        },
        ...replaceSecret(id, { hash, overlap }, mark, now),
        auditRow(audit, now, { exists: CHANGED, params: [id, mark] }),
      ])
      if (done) return 'done'
      return (await byId(id)) === undefined ? 'missing' : 'no_secret'
    },

    async setStatus(id, status, now, audit) {
      const mark = randomId()
      const done = await changed(
        [
          {
            sql: `UPDATE clients SET status = $2, token_version = token_version + 1, changed_by = $3
                  WHERE id = $1 AND status <> $2 RETURNING id`,
            params: [id, status, mark],
          },
          auditRow(audit, now, { exists: CHANGED, params: [id, mark] }),
          ...revokeOlderClientTokens(id, mark, revocationExpiry(now)),
        ],
        REVOCATIONS,
      )
      if (done) return 'done'
      return (await byId(id)) === undefined ? 'missing' : 'unchanged'
    },

    remove(id, now, audit) {
      const mark = randomId()
      return changed(
        [
          { sql: 'UPDATE clients SET changed_by = $2 WHERE id = $1 RETURNING id', params: [id, mark] },
          // Deleted before revocation_head is locked.
          { sql: 'DELETE FROM client_secrets WHERE client_id = $1', params: [id] },
          auditRow(audit, now, { exists: CHANGED, params: [id, mark] }),
          ...revokeWholeClient(id, mark, revocationExpiry(now)),
          { sql: 'DELETE FROM clients WHERE id = $1 AND changed_by = $2', params: [id, mark] },
        ],
        REVOCATIONS,
      )
    },

    async useAssertion(id, jtiHash, expiresAt) {
      const rows = await database.query(
        `INSERT INTO client_assertions (client_id, jti_hash, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING RETURNING client_id`,
        [id, jtiHash, expiresAt],
      )
      return rows.length === 1
    },

    async deleteExpired(now) {
      await database.query('DELETE FROM client_assertions WHERE expires_at <= $1', [now])
      await database.query('DELETE FROM client_secrets WHERE expires_at <= $1', [now])
    },
  }
}

function insertClient(client: Client): Statement {
  const { id, name, scope, audience, ttl, authMethod, jwks, jwksUri, status, tokenVersion, createdAt } = client
  const keys = jwks && JSON.stringify(jwks)
  const params: SqlValue[] = [id, name, scope, JSON.stringify(audience), ttl, authMethod, keys, jwksUri, status]
  return {
    sql: `INSERT INTO clients (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
    params: [...params, tokenVersion, createdAt],
  }
}

function insertSecret(clientId: string, hash: string, now: number): Statement {
  return {
    sql: 'INSERT INTO client_secrets (client_id, hash, created_at, expires_at) VALUES ($1, $2, $3, NULL)',
    params: [clientId, hash, now],
  }
}

function replaceSecret(
  id: string,
  { hash, overlap }: { hash: string; overlap: number },
  mark: string,
  now: number,
): Statement[] {
  return [
    {
      sql: `DELETE FROM client_secrets WHERE client_id = $1 AND expires_at IS NOT NULL AND EXISTS (${CHANGED})`,
      params: [id, mark],
    },
    {
      sql: `UPDATE client_secrets SET expires_at = $3 WHERE client_id = $1 AND EXISTS (${CHANGED})`,
      params: [id, mark, now + overlap],
    },
    {
      sql: `INSERT INTO client_secrets (client_id, hash, created_at, expires_at)
            SELECT id, CAST($3 AS TEXT), CAST($4 AS BIGINT), NULL FROM clients WHERE id = $1 AND changed_by = $2`,
      params: [id, mark, hash, now],
    },
  ]
}

function toClient(row: Row): Client {
  return {
    id: String(row.id),
    name: String(row.name),
    scope: String(row.scope),
    audience: JSON.parse(String(row.audience)),
    ttl: row.ttl === null ? null : Number(row.ttl),
    authMethod: row.auth_method as ClientAuthMethod,
    jwks: row.jwks === null ? null : JSON.parse(String(row.jwks)),
    jwksUri: row.jwks_uri === null ? null : String(row.jwks_uri),
    status: row.status as ClientStatus,
    tokenVersion: Number(row.token_version),
    createdAt: Number(row.created_at),
  }
}
