import type { Database } from '../db/database.ts'
import { normaliseEmail } from './account.ts'

/** Two accounts whose emails are one address in two spellings: ids. Both stay as they are. */
export interface EmailCollision {
  readonly inOneForm: string
  readonly other: string
}

export interface EmailsInOneForm {
  /** How many rows this call changed. */
  readonly changed: number
  readonly collisions: readonly EmailCollision[]
}

/** Rows that are read at a time, and changed at once. */
const PAGE = 200

/**
 * The part of migration 6 that SQL can't do: brings the email of every row to the form of `normaliseEmail`. Until
 * Signet 0.2 the domain stood there in Unicode.
 *
 * It is done once. While there are collisions it is done at each start, so that it ends when an operator has decided.
 * Several nodes may do it at once, and it may be cut at any point: each row changes by itself, and only from what was
 * read. A row is never merged or deleted.
 *
 * @returns undefined when there is nothing left to do
 */
export async function bringEmailsToOneForm(database: Database): Promise<EmailsInOneForm | undefined> {
  const pending = await database.query("SELECT name FROM unfinished_work WHERE name = 'email_domains'")
  if (pending.length === 0) return undefined
  const collisions: EmailCollision[] = []
  let changed = 0
  for (let after = ''; ; ) {
    // Only an email with characters beyond ASCII can be in another form: it has more bytes than characters.
    const rows = await database.query<{ id: string; email: string }>(
      `SELECT id, email FROM accounts WHERE id > $1 AND octet_length(email) > length(email) ORDER BY id LIMIT $2`,
      [after, PAGE],
    )
    const outcomes = await Promise.all(rows.map((row) => change(database, row)))
    changed += outcomes.filter((outcome) => outcome === 'changed').length
    collisions.push(...outcomes.filter((outcome) => typeof outcome === 'object'))
    const last = rows.at(-1)
    if (last === undefined) break
    after = last.id
  }
  if (collisions.length === 0) await database.query("DELETE FROM unfinished_work WHERE name = 'email_domains'")
  return { changed, collisions }
}

async function change(
  database: Database,
  { id, email }: { id: string; email: string },
): Promise<'changed' | 'as it is' | EmailCollision> {
  const one = normaliseEmail(email)
  if (one === email) return 'as it is'
  let fault: unknown
  try {
    const rows = await database.query(
      `UPDATE accounts SET email = $3
       WHERE id = $1 AND email = $2 AND NOT EXISTS (SELECT 1 FROM accounts holder WHERE holder.email = $3) RETURNING id`,
      [id, email, one],
    )
    if (rows.length === 1) return 'changed'
  } catch (error) {
    fault = error // of two rows that change to the same email at once, the unique index refuses one
  }
  const [holder] = await database.query<{ id: string }>('SELECT id FROM accounts WHERE email = $1', [one])
  if (holder?.id === id) return 'as it is' // another node was faster
  if (holder !== undefined) return { inOneForm: holder.id, other: id }
  if (fault !== undefined) throw fault
  return 'as it is' // the account was deleted meanwhile
}
