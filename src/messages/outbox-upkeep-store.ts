import type { Database } from '../db/database.ts'
import type { MessageKind } from './message.ts'
import { textOf } from './outbox-store.ts'

/** Messages by what became of them, as long as their rows are kept. */
export interface OutboxCounts {
  readonly waiting: number
  readonly sent: number
  readonly dropped: number
  readonly dead: number
  /** How long ago the oldest message that waits was caused. 0 when none waits. */
  readonly oldestWaitingSeconds: number
}

/** A message as an operator sees it. */
export interface Listed {
  readonly id: string
  readonly kind: MessageKind
  readonly state: 'waiting' | 'dead'
  /** Epoch seconds. */
  readonly createdAt: number
  readonly accountId: string | null
  readonly attempts: number
  /** Epoch seconds. */
  readonly nextAttemptAt: number
  readonly lastError: string | null
}

/** A day: limits count them, and support is asked about them. */
const KEEP_SENT_SECONDS = 86_400
const KEEP_DEAD_SECONDS = 30 * 86_400

export type OutboxUpkeep = ReturnType<typeof createOutboxUpkeep>

/** The outbox for those who watch it and keep it small: metrics, maintenance, operators. */
export function createOutboxUpkeep(database: Database) {
  return {
    async counts(now: number): Promise<OutboxCounts> {
      const rows = await database.query('SELECT state, COUNT(*) AS count FROM outbox GROUP BY state')
      const count = (...states: string[]) =>
        rows.reduce((sum, row) => sum + (states.includes(String(row.state)) ? Number(row.count) : 0), 0)
      const waiting = count('caused', 'composed')
      const oldest = "SELECT MIN(created_at) AS at FROM outbox WHERE state IN ('caused', 'composed')"
      const [row] = waiting === 0 ? [] : await database.query(oldest)
      const age = Math.max(0, now - Number(row?.at ?? now))
      return { waiting, sent: count('sent'), dropped: count('dropped'), dead: count('dead'), oldestWaitingSeconds: age }
    },

    /**
     * Deletes what is over.
     *
     * @param now epoch seconds
     */
    async deleteOver(now: number): Promise<void> {
      await database.query("DELETE FROM outbox WHERE state IN ('sent', 'dropped') AND next_attempt_at < $1", [
        now - KEEP_SENT_SECONDS,
      ])
      await database.query("DELETE FROM outbox WHERE state = 'dead' AND next_attempt_at < $1", [
        now - KEEP_DEAD_SECONDS,
      ])
    },

    /** Messages that wait and dead ones, oldest first, without what they say. */
    async list(limit: number): Promise<Listed[]> {
      const rows = await database.query(
        `SELECT id, kind, state, created_at, account_id, attempts, next_attempt_at, last_error FROM outbox
         WHERE state IN ('caused', 'composed', 'dead') ORDER BY created_at, id LIMIT $1`,
        [limit],
      )
      return rows.map((row) => ({
        id: String(row.id),
        kind: row.kind as MessageKind,
        state: row.state === 'dead' ? 'dead' : 'waiting',
        createdAt: Number(row.created_at),
        accountId: textOf(row.account_id),
        attempts: Number(row.attempts),
        nextAttemptAt: Number(row.next_attempt_at),
        lastError: textOf(row.last_error),
      }))
    },

    /** Makes every message that waits due. @returns how many they are */
    async retry(now: number): Promise<number> {
      const rows = await database.query(
        `UPDATE outbox SET next_attempt_at = $1 WHERE state IN ('caused', 'composed') AND claimed_until <= $1
         RETURNING id`,
        [now],
      )
      return rows.length
    },
  }
}
