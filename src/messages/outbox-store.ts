import type { Statement } from '../db/database.ts'
import { randomId } from '../ids.ts'
import type { RefreshKey } from '../keys/refresh-keys.ts'
import type { Enqueue } from './message.ts'
import { seal } from './seal.ts'

/** For a server that sends no messages: causes write nothing. */
export const enqueueNothing: Enqueue = async () => []

export function createEnqueue({ refreshKeys }: { refreshKeys: () => readonly RefreshKey[] }): Enqueue {
  return async ({ kind, accountId = null, auditId = null, facts }, now, onlyIf) => {
    const id = randomId()
    const sealed = facts === undefined ? null : await seal(refreshKeys(), now, id, facts)
    return [outboxRow([id, kind, now, accountId, auditId, sealed], onlyIf)]
  }
}

function outboxRow(
  values: (string | number | null)[],
  onlyIf?: { exists: string; params: readonly (string | number)[] },
): Statement {
  const types = ['TEXT', 'TEXT', 'BIGINT', 'TEXT', 'TEXT', 'TEXT']
  const [id, kind, now, accountId, auditId, sealed] = types.map((type, index) => `CAST($${index + 1} AS ${type})`)
  const renumbered = onlyIf?.exists.replace(/\$(\d)/g, (_, n) => `$${values.length + Number(n)}`)
  const condition = renumbered === undefined ? '' : ` WHERE EXISTS (${renumbered})`
  return {
    sql: `INSERT INTO outbox (id, kind, state, created_at, account_id, audit_id, sealed, attempts, next_attempt_at,
            claimed_until)
          SELECT ${id}, ${kind}, 'caused', ${now}, ${accountId}, ${auditId}, ${sealed}, 0, ${now}, 0${condition}`,
    params: onlyIf === undefined ? values : [...values, ...onlyIf.params],
  }
}
