import type { DatabaseSync } from 'node:sqlite'
import { systemClock } from '../../../src/clock.ts'
import { randomId } from '../../../src/ids.ts'

export interface Content {
  readonly revocations: number
  /** Each with one live session. */
  readonly accounts?: number
}

/** Rows of one transaction. */
const BATCH = 100_000

/** An instant that lies beyond every run. */
const FAR = 9_000_000_000

/** Not the hash of any password, because nobody logs in to these accounts; but as long as a real one. */
const NO_HASH = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

/** Fills the tables of a stopped server, as years of use would. */
export function fill(db: DatabaseSync, { revocations, accounts = 0 }: Content): void {
  const now = systemClock()
  const account = db.prepare(
    `INSERT INTO accounts (id, email, password_hash, status, roles, token_version, created_at, last_login_at)
     VALUES (?, ?, '${NO_HASH}', 'active', '[]', 1, ${now}, ${now})`,
  )
  const session = db.prepare(
    `INSERT INTO sessions (id, account_id, client_id, scope, created_at, last_used_at, rotated_at, expires_at,
                           max_expires_at, counter, repeats, ip, user_agent)
     VALUES (?, ?, 'signet', '', ${now}, ${now}, ${now}, ${FAR}, ${FAR}, 3, 0, '192.0.2.1', 'Mozilla/5.0')`,
  )
  inBatches(db, accounts, (number) => {
    const accountId = `acc_${randomId()}`
    account.run(accountId, `person-${number}@example.com`)
    session.run(randomId(), accountId)
  })

  const revocation = db.prepare(
    `INSERT INTO revocations (kind, subject, min_version, seq, expires_at) VALUES ('session', ?, NULL, ?, ${FAR})`,
  )
  inBatches(db, revocations, (number) => revocation.run(randomId(), number))
  db.exec(`UPDATE revocation_head SET seq = ${revocations}; PRAGMA wal_checkpoint(TRUNCATE)`)
}

function inBatches(db: DatabaseSync, count: number, insert: (number: number) => void): void {
  for (let number = 1; number <= count; number += 1) {
    if (number % BATCH === 1) db.exec('BEGIN')
    insert(number)
    if (number % BATCH === 0 || number === count) db.exec('COMMIT')
  }
}
