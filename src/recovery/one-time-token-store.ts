import type { Account } from '../accounts/account.ts'
import { ACCOUNT_COLUMNS, toAccount } from '../accounts/account-store.ts'
import type { AuditEntry } from '../audit/audit.ts'
import { auditRow } from '../audit/audit-store.ts'
import type { Database, Row, Statement } from '../db/database.ts'
import { type OnlyIf, withCondition } from '../db/only-if.ts'
import { randomId } from '../ids.ts'
import { bindingOf, MAX_CODE_TRIES, type OneTimeToken, type Purpose, tokenHashOf } from './one-time-token.ts'

/** A token that is good now, with its account as it was read together with it. */
export interface FoundToken {
  readonly token: Pick<OneTimeToken, 'id' | 'purpose' | 'accountId' | 'email' | 'boundTo'>
  readonly account: Account
}

export interface OneTimeTokenStore {
  /** @returns the token with this text, if it is for one of these purposes, has not expired, and nothing has changed */
  byToken(token: string, purposes: readonly Purpose[], now: number): Promise<FoundToken | undefined>
  /**
   * Tries a code on the newest token of an address. A wrong one counts, and a right one does not. Of an address without
   * a token the answer is the same, and so is the work.
   *
   * @param hashes of the code (`codeHashesOf`)
   * @param failed the audit row of a wrong code
   */
  byCode(
    asked: { email: string; hashes: readonly string[]; purposes: readonly Purpose[] },
    now: number,
    failed: AuditEntry,
  ): Promise<FoundToken | undefined>
  /**
   * Deletes tokens that have expired, and accounts of a week ago that nobody confirmed: who registers somebody else's
   * address must not keep it from its owner for ever.
   */
  deleteExpired(now: number): Promise<void>
}

const KEEP_UNCONFIRMED_SECONDS = 7 * 86_400

const TOKEN_COLUMNS = 't.id AS token_id, t.purpose, t.email AS token_email, t.bound_to'
const WITH_ACCOUNT = `SELECT ${TOKEN_COLUMNS}, ${ACCOUNT_COLUMNS.map((name) => `a.${name}`).join(', ')}
  FROM one_time_tokens t JOIN accounts a ON a.id = t.account_id`

export function createOneTimeTokenStore(database: Database): OneTimeTokenStore {
  return {
    async byToken(token, purposes, now) {
      const [row] = await database.query(`${WITH_ACCOUNT} WHERE t.token_hash = $1 AND t.expires_at > $2`, [
        tokenHashOf(token),
        now,
      ])
      return accepted(row, purposes)
    },

    async byCode({ email, hashes, purposes }, now, failed) {
      const [, , rows = []] = await database.transaction(tryCode({ email, hashes, purposes }, now, failed))
      return accepted(rows[0], purposes)
    },

    async deleteExpired(now) {
      await database.transaction([
        { sql: 'DELETE FROM one_time_tokens WHERE expires_at <= $1', params: [now] },
        {
          // While a registration waits in the outbox, its account may be one of these: the next round will tell.
          sql: `DELETE FROM accounts WHERE awaits_confirmation = 1 AND created_at <= $1
                AND NOT EXISTS (SELECT 1 FROM one_time_tokens t WHERE t.account_id = accounts.id)
                AND NOT EXISTS (SELECT 1 FROM outbox WHERE kind = 'registration' AND state IN ('caused', 'composed'))`,
          params: [now - KEEP_UNCONFIRMED_SECONDS],
        },
      ])
    },
  }
}

function accepted(row: Row | undefined, purposes: readonly Purpose[]): FoundToken | undefined {
  if (row === undefined || !purposes.includes(row.purpose as Purpose)) return undefined
  const account = toAccount(row)
  const purpose = row.purpose as Purpose
  const boundTo = String(row.bound_to)
  if (boundTo !== boundToOf(purpose, account)) return undefined
  return {
    token: { id: String(row.token_id), purpose, accountId: account.id, email: String(row.token_email), boundTo },
    account,
  }
}

/** These stay good when somebody else changes password and address: they are there against just that. */
export const UNBOUND: readonly Purpose[] = ['email_change_undo', 'not_me']

/** What a token for this account is bound to now. */
export function boundToOf(purpose: Purpose, account: Pick<Account, 'passwordHash' | 'email'>): string {
  return UNBOUND.includes(purpose) ? '' : bindingOf(account)
}

/**
 * The tries are counted by the statement that looks, so that tries at once can't get around it: the right code waits
 * for its row, too. One transaction writes in every case, for an address without a token the audit row alone.
 */
function tryCode(
  { email, hashes, purposes }: { email: string; hashes: readonly string[]; purposes: readonly Purpose[] },
  now: number,
  failed: AuditEntry,
): Statement[] {
  const named = purposes.map((purpose) => `'${purpose}'`).join(', ')
  const newest = `SELECT id FROM one_time_tokens WHERE email = $1 AND purpose IN (${named})
    ORDER BY created_at DESC, id DESC LIMIT 1`
  const params = [email, now, ...hashes]
  const isRight = `code_hash IN (${hashes.map((_, index) => `$${index + 3}`).join(', ')})`
  const canBeTried = `id = (${newest}) AND expires_at > $2 AND tries < ${MAX_CODE_TRIES}`
  return [
    {
      sql: `UPDATE one_time_tokens SET tries = tries + CASE WHEN ${isRight} THEN 0 ELSE 1 END WHERE ${canBeTried}`,
      params,
    },
    auditRow(failed, now, {
      exists: `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM one_time_tokens WHERE ${canBeTried} AND ${isRight})`,
      params,
    }),
    {
      sql: `${WITH_ACCOUNT} WHERE t.id = (SELECT id FROM one_time_tokens WHERE ${canBeTried} AND ${isRight})`,
      params,
    },
  ]
}

/**
 * Stores a token, unless its account is gone. Older ones of the same account and purpose are deleted: the newest wins.
 * Only the ways back (`UNBOUND`) stay, each of them: a thief who causes another one must not make the link in the first
 * message worthless.
 */
export function storeToken(row: OneTimeToken): Statement[] {
  const { purpose, accountId } = row
  if (UNBOUND.includes(purpose)) return [storeWayBack(row)]
  return [
    // The account is locked first, as everywhere. So of two tokens that are stored at once one is the older one.
    { sql: 'UPDATE accounts SET changed_by = $2 WHERE id = $1', params: [accountId, randomId()] },
    { sql: 'DELETE FROM one_time_tokens WHERE account_id = $1 AND purpose = $2', params: [accountId, purpose] },
    storeWayBack(row),
  ]
}

/**
 * As `storeToken`, without deleting others. Two of an account and purpose never have the same time: which change of the
 * address came first decides who is its owner.
 */
export function storeWayBack(row: OneTimeToken, onlyIf?: OnlyIf): Statement {
  const { id, purpose, accountId, email, boundTo, tokenHash, codeHash, createdAt, expiresAt } = row
  const values = [id, purpose, accountId, email, boundTo, tokenHash, codeHash, createdAt, expiresAt]
  const { condition, params } = withCondition(values, onlyIf)
  return {
    sql: `INSERT INTO one_time_tokens (id, purpose, account_id, email, bound_to, token_hash, code_hash, tries,
            created_at, expires_at)
          SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), id, CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT),
            CAST($7 AS TEXT), 0, ${after('CAST($8 AS BIGINT)')}, CAST($9 AS BIGINT)
          FROM accounts WHERE id = $3 AND ${condition}`,
    params,
  }
}

/** An instant, or a second after the newest token of the account `$3` and the purpose `$2`. */
function after(instant: string): string {
  const newest = 'SELECT MAX(created_at) FROM one_time_tokens WHERE account_id = $3 AND purpose = $2'
  return `CASE WHEN (${newest}) >= ${instant} THEN (${newest}) + 1 ELSE ${instant} END`
}

/**
 * Uses a token up: the first two statements of a transaction. It is marked, so that later statements can depend on it:
 * `USED` is their condition. The account is locked before its tokens and sessions, as everywhere.
 */
export function useToken({ token: { id, accountId, boundTo } }: FoundToken, mark: string, now: number): Statement[] {
  return [
    { sql: 'UPDATE accounts SET changed_by = $2 WHERE id = $1', params: [accountId, `${mark} locks`] },
    {
      sql: `UPDATE one_time_tokens SET bound_to = $2 WHERE id = $1 AND bound_to = $3 AND expires_at > $4 RETURNING id`,
      params: [id, mark, boundTo, now],
    },
  ]
}

/**
 * True in SQL when this transaction used the token up.
 *
 * @param id the parameter with the id of the token, for example `$1`; `mark` likewise
 */
export const used = (id: string, mark: string) =>
  `EXISTS (SELECT 1 FROM one_time_tokens WHERE id = ${id} AND bound_to = ${mark})`

/**
 * Deletes the used token, and all others that the change made worthless, if the transaction changed the account under
 * this mark. The ways back stay until one of them is used. Those to an older address stay even then: a thief who
 * changes the address twice has a way back of his own, and must not close the owner's with it.
 */
export function deleteTokens({ token: { id, purpose, accountId } }: FoundToken, mark: string): Statement[] {
  const older = 'created_at < (SELECT created_at FROM one_time_tokens WHERE id = $3)'
  const stays = UNBOUND.includes(purpose)
    ? `purpose = 'email_change_undo' AND ${older}`
    : `id <> $3 AND purpose IN (${UNBOUND.map((one) => `'${one}'`)})`
  return [
    {
      sql: `DELETE FROM one_time_tokens WHERE account_id = $1 AND NOT (${stays})
            AND EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2)`,
      params: [accountId, mark, id],
    },
  ]
}
