import type { Database, Row, Statement } from '../db/database.ts'
import { type EndReason, type Revocation, type RevocationKind, revocationExpiry } from './revocation.ts'

/** The channel on which nodes tell each other that there is something new. */
export const REVOCATIONS = 'signet_revocations'

export interface RevocationStore {
  /** What was withdrawn after `seq`, in order; at least `limit` entries while there are so many, and never part of a number. */
  after(seq: number, limit: number): Promise<Revocation[]>
  deleteExpired(now: number): Promise<void>
}

export function createRevocationStore(database: Database): RevocationStore {
  return {
    async after(seq, limit) {
      // One number may stand for several entries: a page goes on to the end of its last one.
      const rows = await database.query(
        `SELECT kind, subject, min_version, seq, expires_at FROM revocations
         WHERE seq > $1 AND seq <= (SELECT MAX(seq) FROM (SELECT seq FROM revocations WHERE seq > $1 ORDER BY seq LIMIT $2) AS page)
         ORDER BY seq`,
        [seq, limit],
      )
      return rows.map(toRevocation)
    },
    async deleteExpired(now) {
      await database.query('DELETE FROM revocations WHERE expires_at <= $1', [now])
    },
  }
}

// Statements for transactions that end something. The head comes last of all rows they take (see migrations.ts).

/** Seconds for which a revocation is needed after the last token it could hit was issued. */
const LONGEST = revocationExpiry(0)

const UPSERT =
  'ON CONFLICT (kind, subject) DO UPDATE SET seq = excluded.seq, min_version = excluded.min_version, expires_at = excluded.expires_at'

/** `$2`, unless the clock was set back: tokens from before it live longer than one that is issued now. */
const lastingBeyond = (lastIssuedAt: string) =>
  `CASE WHEN ${lastIssuedAt} + ${LONGEST} > CAST($2 AS BIGINT) THEN ${lastIssuedAt} + ${LONGEST} ELSE CAST($2 AS BIGINT) END`

/**
 * Ends sessions of an account: one, all but one, or all. Expired ones as well, because an
 * access token may outlive its session. The first statement returns the ids; the others withdraw them.
 *
 * @param which.liveOnly only if it has not expired
 * @param which.ifChanged only if the same transaction changed the account under this mark
 */
export function endSessions(
  {
    accountId,
    id,
    except,
    liveOnly = false,
    ifChanged = false,
  }: { accountId: string; id?: string; except?: string | undefined; liveOnly?: boolean; ifChanged?: boolean },
  reason: EndReason,
  now: number,
  mark: string,
): Statement[] {
  const named = id !== undefined ? ' AND id = $5' : except !== undefined ? ' AND id <> $5' : ''
  const which = liveOnly ? `${named} AND expires_at > $2` : named
  const some = ifChanged ? `${which} AND EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $4)` : which
  const end = {
    sql: `UPDATE sessions SET ended_at = $2, end_reason = $3, ended_by = $4 WHERE account_id = $1 AND ended_at IS NULL${some} RETURNING id`,
    params: [accountId, now, reason, mark, ...[id ?? except].filter((value) => value !== undefined)],
  }
  return [end, ...revokeSessionsEndedBy(mark, revocationExpiry(now))]
}

/** Withdraws the sessions that the same transaction ended under this mark. */
export function revokeSessionsEndedBy(mark: string, expiresAt: number): Statement[] {
  return [
    {
      sql: 'UPDATE revocation_head SET seq = seq + 1 WHERE EXISTS (SELECT 1 FROM sessions WHERE ended_by = $1)',
      params: [mark],
    },
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'session', s.id, NULL, h.seq, ${lastingBeyond('s.last_used_at')}
            FROM sessions s CROSS JOIN revocation_head h WHERE s.ended_by = $1 ${UPSERT}`,
      params: [mark, expiresAt],
    },
  ]
}

/** Makes every token of the account stale that is older than its present version. */
export function revokeOlderVersions(accountId: string, expiresAt: number): Statement[] {
  return [
    { sql: 'UPDATE revocation_head SET seq = seq + 1 WHERE id = 1' },
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'account', a.id, a.token_version, h.seq,
              ${lastingBeyond('(SELECT COALESCE(MAX(last_used_at), 0) FROM sessions WHERE account_id = a.id)')}
            FROM accounts a CROSS JOIN revocation_head h WHERE a.id = $1 ${UPSERT}`,
      params: [accountId, expiresAt],
    },
  ]
}

/** Withdraws every token of an account that the same transaction deleted. */
export function revokeWholeAccount(accountId: string, expiresAt: number): Statement[] {
  return [
    {
      sql: 'UPDATE revocation_head SET seq = seq + 1 WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = $1)',
      params: [accountId],
    },
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'account', CAST($1 AS TEXT), NULL, h.seq, CAST($2 AS BIGINT) FROM revocation_head h
            WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE id = $1) ${UPSERT}`,
      params: [accountId, expiresAt],
    },
  ]
}

/** Withdraws every token of a client that is older than its present version, if the same transaction changed it under this mark. */
export function revokeOlderClientTokens(clientId: string, mark: string, expiresAt: number): Statement[] {
  return revokeClientChangedBy('c.token_version', clientId, mark, expiresAt)
}

/** Withdraws every token of a client that the same transaction is about to delete, and marked. */
export function revokeWholeClient(clientId: string, mark: string, expiresAt: number): Statement[] {
  return revokeClientChangedBy('NULL', clientId, mark, expiresAt)
}

function revokeClientChangedBy(minVersion: string, clientId: string, mark: string, expiresAt: number): Statement[] {
  return [
    {
      sql: 'UPDATE revocation_head SET seq = seq + 1 WHERE EXISTS (SELECT 1 FROM clients WHERE id = $1 AND changed_by = $2)',
      params: [clientId, mark],
    },
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'client', c.id, ${minVersion}, h.seq, CAST($3 AS BIGINT)
            FROM clients c CROSS JOIN revocation_head h WHERE c.id = $1 AND c.changed_by = $2 ${UPSERT}`,
      params: [clientId, mark, expiresAt],
    },
  ]
}

/** Withdraws one access token. */
export function revokeToken(jti: string, expiresAt: number): Statement[] {
  return [
    { sql: 'UPDATE revocation_head SET seq = seq + 1 WHERE id = 1' },
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'token', CAST($1 AS TEXT), NULL, h.seq, CAST($2 AS BIGINT) FROM revocation_head h WHERE h.id = 1 ${UPSERT}`,
      params: [jti, expiresAt],
    },
  ]
}

function toRevocation(row: Row): Revocation {
  return {
    kind: row.kind as RevocationKind,
    subject: String(row.subject),
    minVersion: row.min_version === null ? null : Number(row.min_version),
    seq: Number(row.seq),
    expiresAt: Number(row.expires_at),
  }
}
