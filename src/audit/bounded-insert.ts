import type { Clock } from '../clock.ts'
import type { QuotaName, Spending } from '../limits/limiter.ts'
import { networkOf } from '../limits/network.ts'
import type { AuditEntry, AuditLog } from './audit.ts'
import type { AuditStore } from './audit-store.ts'

/** Quotas of rows, counted by network. */
export type RowQuota = Extract<QuotaName, 'clientFailure' | 'passwordThrottled' | 'refusedChange'>

/**
 * Writes an event that anybody can cause, and that costs its causer nothing or little. The number of rows per minute
 * and network is limited; the rest is only in the log.
 *
 * @param complete adds what has to be looked up in the store. It is called only for a row
 */
export type BoundedInsert = (
  quota: RowQuota,
  entry: AuditEntry,
  complete?: () => Promise<Partial<AuditEntry>>,
) => Promise<void>

export function createBoundedInsert(parts: {
  limiter: Spending
  auditStore: AuditStore
  auditLog: AuditLog
  now: Clock
}): BoundedInsert {
  const { limiter, auditStore, auditLog, now } = parts
  return async (quota, entry, complete = async () => ({})) => {
    const { allowed } = await limiter.spend(quota, networkOf(entry.source.ip))
    if (allowed) await auditStore.insert({ ...entry, ...(await complete()) }, now())
    else auditLog(entry)
  }
}
