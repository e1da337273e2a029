import { createInterface } from 'node:readline'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import type { RequestSource } from '../../src/audit/audit.ts'
import { createClientStore } from '../../src/clients/client-store.ts'
import { type Clock, fromTimestamp, toTimestamp } from '../../src/clock.ts'
import type { Database } from '../../src/db/database.ts'
import { endRestored, lookAtRestored } from '../../src/revocations/restored-store.ts'
import { revocationExpiry } from '../../src/revocations/revocation.ts'
import { type Input, type Result, table, UsageError } from './command-line.ts'
import { lostChanges } from './lost-changes.ts'

/**
 * Makes a restored store safe to start servers on. Every session ends: which of them were ended after the backup stands
 * only in what was lost. Names what the log knows and the store does not.
 *
 * @throws UsageError for an instant that is none, or in the future
 */
export async function afterRestore(
  database: Database,
  { options }: Input,
  { now, source, input }: { now: Clock; source: RequestSource; input: NodeJS.ReadStream },
): Promise<Result> {
  const instant = now()
  const backupAt = instantOf(options['backup-at'], instant)
  const dryRun = options['dry-run'] === true
  const { newestAudit, ...counts } = await lookAtRestored(database, instant)
  // The rows say how far the backup goes. The operator's word counts where servers have run since.
  const since = Math.min(backupAt, newestAudit ?? backupAt)
  const lines = input.isTTY ? [] : createInterface({ input })
  const lookups = { account: createAccountStore(database).byId, client: createClientStore(database).byId }
  const { lost, read } = await lostChanges(lines, since, lookups)
  const detail = { backup_at: toTimestamp(backupAt), sessions: counts.sessions }
  if (!dryRun) await endRestored(database, instant, { event: 'backup_restored', source, detail })

  const unknownUntil = toTimestamp(revocationExpiry(instant))
  const json = {
    ended: !dryRun,
    ...counts,
    since: toTimestamp(since),
    events_read: read,
    lost,
    unknown_until: unknownUntil,
  }
  const head = [
    `${dryRun ? 'would end' : 'ended'} ${counts.sessions} sessions, ` +
      `and the tokens of ${counts.accounts} accounts and ${counts.clients} clients`,
    `tokens of clients from after the backup are good until ${unknownUntil} at the latest`,
  ]
  return { json, text: [...head, '', whatWentBack(lost, read, since)].join('\n') }
}

function whatWentBack(lost: Awaited<ReturnType<typeof lostChanges>>['lost'], read: number, since: number): string {
  if (read === 0)
    return 'no log was given on standard input: it is not known which suspensions, roles and passwords went back'
  if (lost.length === 0) return `nothing went back, as far as the ${read} events of the log tell`
  const rows = lost.map(({ at, event, id, now, remedy }) => [at, event, id, now, remedy])
  return `went back since ${toTimestamp(since)}:\n${table(['AT', 'EVENT', 'ID', 'NOW', 'WHAT TO DO'], rows)}`
}

function instantOf(given: unknown, now: number): number {
  if (typeof given !== 'string') throw new UsageError('--backup-at is needed: when the backup was made')
  const at = fromTimestamp(given)
  if (at === undefined) throw new UsageError('--backup-at takes an RFC 3339 time such as 2026-11-30T02:00:00Z')
  if (at > now) throw new UsageError('--backup-at is in the future')
  return at
}
