import type { Database, Statement } from '../db/database.ts'
import type { OnlyIf } from '../db/only-if.ts'
import { randomId } from '../ids.ts'
import { endSessions, REVOCATIONS } from '../revocations/revocation-store.ts'
import { type FoundToken, used, useToken } from './one-time-token-store.ts'

/**
 * "This was not me": in one transaction the token is used up, every session of the account ends, and nobody can log in
 * until a recovery has set another password.
 *
 * Every other one-time token of the account dies as well: what a thief asked for (a change of the address, for example)
 * must not be confirmed after that. Only ways back to a former address stay: they may be the owner's, and this token
 * the thief's.
 *
 * @param now epoch seconds
 * @param also makes what is written with it, if it takes effect: that is the condition
 * @returns false when nothing happened: the token was used meanwhile, or the address of the account changed
 */
export async function disownAccount(
  database: Database,
  found: FoundToken,
  now: number,
  also: (found: FoundToken, onlyIf: OnlyIf) => Promise<readonly Statement[]>,
): Promise<boolean> {
  const mark = randomId()
  const { id, email } = found.account
  const onlyIf = { exists: 'SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2', params: [id, mark] }
  const [, , changed = []] = await database.transaction(
    [
      ...useToken(found, mark, now),
      {
        sql: `UPDATE accounts SET needs_recovery = 1, changed_by = $2
              WHERE id = $1 AND email = $3 AND ${used('$4', '$2')} RETURNING id`,
        params: [id, mark, email, found.token.id],
      },
      ...endSessions({ accountId: id, ifChanged: true }, 'disowned', now, mark),
      {
        sql: `DELETE FROM one_time_tokens WHERE account_id = $1 AND (purpose <> 'email_change_undo' OR id = $3)
              AND EXISTS (SELECT 1 FROM accounts WHERE id = $1 AND changed_by = $2)`,
        params: [id, mark, found.token.id],
      },
      ...(await also(found, onlyIf)),
    ],
    REVOCATIONS,
  )
  return changed.length === 1
}
