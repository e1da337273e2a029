import type { Logger } from 'pino'
import type { AuditStore } from '../audit/audit-store.ts'
import { systemClock } from '../clock.ts'
import { type Keyring, phase } from '../keys/keyring.ts'
import type { KeyringEvent, LiveKeyringOptions } from '../keys/live-keyring.ts'

/**
 * Logs which keys are in force after a change, and writes its audit row; logs which key signs from now on, and what is
 * wrong with the folder.
 */
export function reportKeys(logger: Logger, auditStore: AuditStore): LiveKeyringOptions['report'] {
  return (event) => {
    if ('changed' in event) reportChange(logger, auditStore, event.changed)
    else reportState(logger, event)
  }
}

function reportChange(logger: Logger, auditStore: AuditStore, keyring: Keyring): void {
  const now = systemClock()
  const keys = keyring.map((entry) => `${entry.kid} ${phase(entry, now)}`)
  logger.info({ event: 'keys_changed', keys }, 'the keyring changed')
  const source = { ip: null, userAgent: null, requestId: null }
  auditStore
    .insert({ event: 'keys_changed', source, detail: { keys } }, now)
    .catch((err) => logger.error({ err }, 'the change of keys could not be written to the audit table'))
}

function reportState(logger: Logger, event: Exclude<KeyringEvent, { changed: Keyring }>): void {
  if ('signs' in event) {
    logger.info(
      { event: 'signing_key_switched', kid: event.signs, before: event.before },
      'another key signs from now on',
    )
  } else if ('outdated' in event) {
    logger.error(
      { event: 'keys_outdated', keys: event.outdated },
      'the keys folder is older than a revocation: it holds revoked keys as if they were good. They are not used. ' +
        'Put the newest copy of the folder back, or revoke them again: npm run keys -- revoke <kid> ' +
        '(revoke-refresh <id> for an id of 11 characters)',
    )
  } else if ('storeLost' in event) {
    logger.warn(
      { err: event.storeLost },
      'the store can not be asked which keys were revoked: those that are known here stay revoked',
    )
  } else {
    logger.error(
      { reason: event.unusable.message },
      'the keys folder can not be used: the keyring from before stays in force',
    )
  }
}
