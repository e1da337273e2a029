import type { Logger } from 'pino'
import type { AuditStore } from '../audit/audit-store.ts'
import { systemClock } from '../clock.ts'
import { phase } from '../keys/keyring.ts'
import type { LiveKeyringOptions } from '../keys/live-keyring.ts'

/** Logs which keys are in force after a change, and writes its audit row; or logs why the folder was ignored. */
export function reportKeys(logger: Logger, auditStore: AuditStore): LiveKeyringOptions['report'] {
  return (event) => {
    if ('unusable' in event) {
      logger.error(
        { reason: event.unusable.message },
        'the keys folder can not be used: the keyring from before stays in force',
      )
      return
    }
    const now = systemClock()
    const keys = event.changed.map((entry) => `${entry.kid} ${phase(entry, now)}`)
    logger.info({ event: 'keys_changed', keys }, 'the keyring changed')
    const source = { ip: null, userAgent: null, requestId: null }
    auditStore
      .insert({ event: 'keys_changed', source, detail: { keys } }, now)
      .catch((err) => logger.error({ err }, 'the change of keys could not be written to the audit table'))
  }
}
