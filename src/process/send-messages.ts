import { createAuditLog } from '../audit/audit.ts'
import { auditedDatabase } from '../audit/audited-database.ts'
import { systemClock } from '../clock.ts'
import { openSender } from '../messages/open-sender.ts'
import type { Sender } from '../messages/sender.ts'
import { createComposers } from '../recovery/composers.ts'
import type { Booted } from './boot.ts'

/**
 * Makes the sender of the one process that sends messages: the server, or the primary of several workers.
 *
 * @returns undefined when no message is sent
 * @throws OperatorError when its settings can't be used
 */
export function messageSender({ config, logger, keyring, database }: Booted): Promise<Sender | undefined> {
  const audited = auditedDatabase(database, createAuditLog(logger))
  const parts = { config, database: audited, keyring, now: systemClock }
  return openSender({ ...parts, logger, composers: createComposers(parts) })
}
