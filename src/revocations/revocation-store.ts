import type { Database, Statement } from '../db/database.ts'
import { beginHistory, DELETE_OLD_MARKS, isBehind, type Look, lookAt, type Marked, numbered } from './history-store.ts'
import { type EndReason, revocationExpiry } from './revocation.ts'
import { IS_FLOOR } from './version-floor.ts'

/** The channel on which nodes notify each other of new revocations. */
export const REVOCATIONS = 'signet_revocations'

export interface RevocationStore {
  /**
   * The revocations after a number, in order: at least `limit` entries if there are so many, and always every entry of
   * a `seq`. And whether the store is still the one that was read before: which mark it has for the number `known`.
   */
  look(question: { after: number; known?: number | undefined; limit: number }): Promise<Look>
  /**
   * Begins a new history, unless another server was faster.
   *
   * @param history of the store when it was found to have gone back
   * @param known what was read before: the new numbers are greater than all of it
   */
  beginHistory(history: string, known: { readonly head: number; readonly newest: Marked | undefined }): Promise<void>
  /** Deletes what is over. The floor of everybody's versions stays. */
  deleteExpired(now: number): Promise<void>
  /** Remembers this time, if it is the highest one seen. A server calls it every NOTE_TIME_INTERVAL_SECONDS. */
  noteTime(now: number): Promise<void>
}

/** How often a server notes the time. */
export const NOTE_TIME_INTERVAL_SECONDS = 15
/** A token may have been issued so long after the last note: an interval, and the delay of a busy server. */
const NOTE_IS_LATE_SECONDS = 60
/**
 * A highest time that is further ahead was a mistake, and is forgotten: revocations would otherwise be kept, and stand
 * in the feed, until the clock gets there.
 */
export const MAX_STEP_BACK_SECONDS = 86_400

export function createRevocationStore(database: Database): RevocationStore {
  return {
    look: (question) => lookAt(database, question),
    async beginHistory(history, known) {
      await database.transaction(beginHistory(known.head, isBehind(history, known)), REVOCATIONS)
    },
    async deleteExpired(now) {
      const expired = { sql: `DELETE FROM revocations WHERE expires_at <= $1 AND NOT (${IS_FLOOR})`, params: [now] }
      await database.transaction([expired, DELETE_OLD_MARKS])
    },
    async noteTime(now) {
      await database.query('UPDATE revocation_head SET latest = $1 WHERE id = 1 AND (latest < $1 OR latest > $2)', [
        now,
        now + MAX_STEP_BACK_SECONDS,
      ])
    },
  }
}

// Statements for transactions that end or revoke something. The row of `revocation_head` is the last one that they lock
// (see migrations.ts).

/** How long a revocation is needed after the last token that it could affect was issued. */
const LONGEST = revocationExpiry(0)

/** More than the changes of any account or client since a backup, and than those which a standby missed. */
export const UNUSED_VERSIONS = 1_000_000

export const UPSERT = `ON CONFLICT (kind, subject) DO UPDATE
   SET seq = excluded.seq, min_version = excluded.min_version, expires_at = excluded.expires_at`

/**
 * The expiry in a parameter, or a later one when the clock was set back: tokens issued before the step live longer than
 * one issued now. `h` is the row of `revocation_head`.
 *
 * @param expiry for example `$2`
 */
export const lasting = (expiry: string) =>
  `CASE WHEN h.latest + ${LONGEST} > CAST(${expiry} AS BIGINT)
          AND h.latest + ${LONGEST} <= CAST(${expiry} AS BIGINT) + ${MAX_STEP_BACK_SECONDS}
        THEN h.latest + ${NOTE_IS_LATE_SECONDS + LONGEST} ELSE CAST(${expiry} AS BIGINT) END`

/** As `lasting ('$2')`, and long enough for a token that was issued at an instant which the store knows. */
export const lastingBeyond = (lastIssuedAt: string) =>
  `CASE WHEN ${lastIssuedAt} + ${LONGEST} > ${lasting('$2')}
   THEN ${lastIssuedAt} + ${LONGEST} ELSE ${lasting('$2')} END`

/**
 * Ends sessions of an account: one, all but one, or all. Expired ones as well, because an access token may outlive its
 * session. The first statement returns the ids of the sessions; the others revoke them.
 *
 * @param which.liveOnly only sessions that have not expired
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
    sql: `UPDATE sessions SET ended_at = $2, end_reason = $3, ended_by = $4
          WHERE account_id = $1 AND ended_at IS NULL${some} RETURNING id`,
    params: [accountId, now, reason, mark, ...[id ?? except].filter((value) => value !== undefined)],
  }
  return [end, ...revokeSessionsEndedBy(mark, revocationExpiry(now))]
}

/** Revokes the sessions that the same transaction ended under this mark. */
export function revokeSessionsEndedBy(mark: string, expiresAt: number): Statement[] {
  return numbered(
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'session', s.id, NULL, h.seq, ${lastingBeyond('s.last_used_at')}
            FROM sessions s CROSS JOIN revocation_head h WHERE s.ended_by = $1 ${UPSERT}`,
      params: [mark, expiresAt],
    },
    { sql: 'EXISTS (SELECT 1 FROM sessions WHERE ended_by = $1)', params: [mark] },
  )
}

/** Makes every token of the account stale that is older than its present `token_version`. */
export function revokeOlderVersions(accountId: string, expiresAt: number): Statement[] {
  return numbered({
    sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
          SELECT 'account', a.id, a.token_version, h.seq,
            ${lastingBeyond('(SELECT COALESCE(MAX(last_used_at), 0) FROM sessions WHERE account_id = a.id)')}
          FROM accounts a CROSS JOIN revocation_head h WHERE a.id = $1 ${UPSERT}`,
    params: [accountId, expiresAt],
  })
}

/** Revokes every token of an account that the same transaction deleted. */
export function revokeWholeAccount(accountId: string, expiresAt: number): Statement[] {
  const isGone = 'NOT EXISTS (SELECT 1 FROM accounts WHERE id = $1)'
  return numbered(
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'account', CAST($1 AS TEXT), NULL, h.seq, ${lasting('$2')} FROM revocation_head h
            WHERE ${isGone} ${UPSERT}`,
      params: [accountId, expiresAt],
    },
    { sql: isGone, params: [accountId] },
  )
}

/**
 * Revokes every token of a client that is older than its present `token_version`, if the same transaction changed the
 * client under this mark.
 */
export function revokeOlderClientTokens(clientId: string, mark: string, expiresAt: number): Statement[] {
  return revokeClientChangedBy('c.token_version', clientId, mark, expiresAt)
}

/** Revokes every token of a client that the same transaction marked and is about to delete. */
export function revokeWholeClient(clientId: string, mark: string, expiresAt: number): Statement[] {
  return revokeClientChangedBy('NULL', clientId, mark, expiresAt)
}

function revokeClientChangedBy(minVersion: string, clientId: string, mark: string, expiresAt: number): Statement[] {
  return numbered(
    {
      sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
            SELECT 'client', c.id, ${minVersion}, h.seq, ${lasting('$3')}
            FROM clients c CROSS JOIN revocation_head h WHERE c.id = $1 AND c.changed_by = $2 ${UPSERT}`,
      params: [clientId, mark, expiresAt],
    },
    { sql: 'EXISTS (SELECT 1 FROM clients WHERE id = $1 AND changed_by = $2)', params: [clientId, mark] },
  )
}

/**
 * Revokes one access token. The first statement takes the lock, the second one returns the token.
 *
 * @param onlyIf a condition on what is committed, or was done by the same transaction; the token is `$1`, parameters of
 *   its own are numbered from `$3`
 */
export function revokeToken(
  jti: string,
  expiresAt: number,
  onlyIf: { sql: string; params: readonly (string | number)[] },
): Statement[] {
  return numbered({
    sql: `INSERT INTO revocations (kind, subject, min_version, seq, expires_at)
          SELECT 'token', CAST($1 AS TEXT), NULL, h.seq, ${lasting('$2')}
          FROM revocation_head h WHERE h.id = 1 AND ${onlyIf.sql} ${UPSERT} RETURNING subject`,
    params: [jti, expiresAt, ...onlyIf.params],
  })
}
