import type { AuditRow } from '../audit/audit-store.ts'
import type { Database, Row, SqlValue, Statement } from '../db/database.ts'
import { type OnlyIf, withCondition } from '../db/only-if.ts'
import { randomId } from '../ids.ts'
import type { LiveKeyring } from '../keys/live-keyring.ts'
import type { Enqueue, MessageKind } from './message.ts'
import { seal } from './seal.ts'

/** For a server that sends no messages: causes write nothing. */
export const enqueueNothing: Enqueue = async () => []

export function createEnqueue(keyring: Pick<LiveKeyring, 'refreshKeys'>): Enqueue {
  return async ({ kind, accountId = null, auditId = null, facts }, now, onlyIf) => {
    const id = randomId()
    const sealed = facts === undefined ? null : await seal(keyring.refreshKeys(), now, id, facts)
    return [outboxRow([id, kind, now, accountId, auditId, sealed], onlyIf)]
  }
}

function outboxRow(values: readonly SqlValue[], onlyIf?: OnlyIf): Statement {
  const types = ['TEXT', 'TEXT', 'BIGINT', 'TEXT', 'TEXT', 'TEXT']
  const [id, kind, now, accountId, auditId, sealed] = types.map((type, index) => `CAST($${index + 1} AS ${type})`)
  const { condition, params } = withCondition(values, onlyIf)
  return {
    sql: `INSERT INTO outbox (id, kind, state, created_at, account_id, audit_id, sealed, attempts, next_attempt_at,
            claimed_until)
          SELECT ${id}, ${kind}, 'caused', ${now}, ${accountId}, ${auditId}, ${sealed}, 0, ${now}, 0
          WHERE ${condition}`,
    params,
  }
}

/** A message that this sender alone may work on, until its claim runs out. */
export interface Claimed {
  readonly id: string
  readonly kind: MessageKind
  readonly state: 'caused' | 'composed'
  /** Epoch seconds. */
  readonly createdAt: number
  readonly accountId: string | null
  readonly auditId: string | null
  readonly sealed: string | null
  /** Attempts so far that failed. */
  readonly attempts: number
  /** Marks the claim. What is written afterwards is written only while the row still carries it. */
  readonly claim: string
  /** Epoch seconds. */
  readonly claimedUntil: number
}

export type OutboxStore = ReturnType<typeof createOutboxStore>

const DUE = "state IN ('caused', 'composed') AND next_attempt_at <= $1 AND claimed_until <= $1"
const FREE = 'claimed_by = NULL, claimed_until = 0'
const MINE = 'id = $1 AND claimed_by = $2'

export function createOutboxStore(database: Database) {
  return {
    /**
     * Claims messages that are due, the longest due first. Of several senders that ask at once, one gets each.
     *
     * @param until epoch seconds: then the claim of a sender that died has run out
     */
    async claim({ now, until, limit }: { now: number; until: number; limit: number }): Promise<Claimed[]> {
      // Nearly always nothing is due. Reading first means that such a look takes no lock.
      const sql = `SELECT id FROM outbox WHERE ${DUE} ORDER BY next_attempt_at, created_at LIMIT $2`
      const due = await database.query<{ id: string }>(sql, [now, limit])
      if (due.length === 0) return []
      const claim = randomId()
      const places = due.map((_, index) => `$${index + 4}`).join(', ')
      const [rows = []] = await database.transaction([
        {
          sql: `UPDATE outbox SET claimed_by = $2, claimed_until = $3 WHERE ${DUE} AND id IN (${places}) RETURNING *`,
          params: [now, claim, until, ...due.map(({ id }) => id)],
        },
      ])
      return rows.map((row) => claimed(row, claim, until))
    },

    /**
     * Commits a message as composed, together with the statements of its composer.
     *
     * @throws when the claim has run out and another sender has the message: then nothing is committed
     */
    async compose({ id, claim }: Claimed, sealed: string, statements: readonly Statement[]): Promise<void> {
      // A list of statements can't stop by itself. A state that does not exist makes the transaction fail.
      const sql = `UPDATE outbox SET sealed = $3,
                     state = CASE WHEN claimed_by = $2 AND state = 'caused' THEN 'composed' ELSE 'lost' END
                   WHERE id = $1`
      await database.transaction([{ sql, params: [id, claim, sealed] }, ...statements])
    },

    /**
     * The end of a message: `sent`, or `dropped` because nobody is to get it. What it said is forgotten.
     *
     * @param also is committed with it
     */
    async finish(
      { id, claim }: Claimed,
      state: 'sent' | 'dropped',
      now: number,
      also: readonly Statement[] = [],
    ): Promise<void> {
      const sql = `UPDATE outbox SET state = $3, sealed = NULL, last_error = NULL, next_attempt_at = $4, ${FREE}
                   WHERE ${MINE}`
      await database.transaction([{ sql, params: [id, claim, state, now] }, ...also])
    },

    /**
     * A dead letter: it is not tried again, and what it said is forgotten.
     *
     * @param audit makes the row of the event
     */
    async bury({ id, claim }: Claimed, error: string, now: number, audit: AuditRow): Promise<void> {
      const sql = `UPDATE outbox SET state = 'dead', sealed = NULL, attempts = attempts + 1, last_error = $3,
                     next_attempt_at = $4, ${FREE}
                   WHERE ${MINE}`
      await database.transaction([audit, { sql, params: [id, claim, error, now] }])
    },

    /** An attempt failed: the next one is at `at` (epoch seconds). */
    async postpone({ id, claim }: Claimed, error: string, at: number): Promise<void> {
      const sql = `UPDATE outbox SET attempts = attempts + 1, last_error = $3, next_attempt_at = $4, ${FREE}
                   WHERE ${MINE}`
      await database.query(sql, [id, claim, error, at])
    },
  }
}

/** A condition for the audit row of a dead letter: the message is still the sender's. */
export const stillClaimed = ({ id, claim }: Claimed) => ({
  exists: `SELECT 1 FROM outbox WHERE ${MINE}`,
  params: [id, claim],
})

/** A text of a row that may have none. */
export const textOf = (value: SqlValue | undefined) => (value === null || value === undefined ? null : String(value))

function claimed(row: Row, claim: string, claimedUntil: number): Claimed {
  return {
    id: String(row.id),
    kind: row.kind as MessageKind,
    state: row.state as Claimed['state'],
    createdAt: Number(row.created_at),
    accountId: textOf(row.account_id),
    auditId: textOf(row.audit_id),
    sealed: textOf(row.sealed),
    attempts: Number(row.attempts),
    claim,
    claimedUntil,
  }
}
