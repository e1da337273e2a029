import { systemClock, toTimestamp } from '../src/clock.ts'
import { createOutboxUpkeep, type OutboxUpkeep } from '../src/messages/outbox-upkeep-store.ts'
import { type Command, type Result, runScript, table } from './cli/command-line.ts'
import { withDatabase } from './cli/with-database.ts'

/** More say nothing new to a person. */
const MOST_LISTED = 1000

const list: Command = {
  usage: '',
  summary: 'List the messages that wait and the dead ones, oldest first. No address and no content is shown.',
  examples: ['list', 'list --json'],
  positionals: 0,
  run: () =>
    withOutbox(async (outbox) => {
      const all = (await outbox.list(MOST_LISTED)).map(
        ({ createdAt, nextAttemptAt, accountId, lastError, ...row }) => ({
          ...row,
          account_id: accountId,
          created_at: toTimestamp(createdAt),
          next_attempt_at: row.state === 'dead' ? null : toTimestamp(nextAttemptAt),
          last_error: lastError,
        }),
      )
      const rows = all.map((row) => [
        row.id,
        row.kind,
        row.state,
        row.created_at,
        String(row.attempts),
        row.next_attempt_at ?? '-',
        row.account_id ?? '-',
        row.last_error ?? '-',
      ])
      const head = ['ID', 'KIND', 'STATE', 'CAUSED', 'ATTEMPTS', 'NEXT', 'ACCOUNT', 'WHY']
      return { json: all, text: rows.length === 0 ? 'no message waits, and none is dead' : table(head, rows) }
    }),
}

const retry: Command = {
  usage: '',
  summary: 'Make every message that waits due now, instead of at its next attempt. Dead ones stay dead.',
  examples: ['retry'],
  positionals: 0,
  run: () =>
    withOutbox(async (outbox) => {
      const count = await outbox.retry(systemClock())
      return { json: { messages: count }, text: `due now: ${count}. A running server sends them within a minute.` }
    }),
}

const withOutbox = (work: (outbox: OutboxUpkeep) => Promise<Result>) =>
  withDatabase('messages', (database) => work(createOutboxUpkeep(database)))

await runScript('npm run messages --', { list, retry })
