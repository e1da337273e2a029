/**
 * Several processes as one server: a primary that supervises workers, the calls between them, and what they share
 * (limits, notifications, metrics, the sender of messages). Each worker runs the same `process/serve.ts` as a single
 * process.
 */

import type { Logger } from 'pino'
import { createAuditStore } from '../audit/audit-store.ts'
import { createClientStore } from '../clients/client-store.ts'
import { createDeletionClock, monotonicClock, systemClock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { Database } from '../db/database.ts'
import type { OperatorError } from '../errors/app-error.ts'
import { followKeys } from '../keys/follow-keys.ts'
import { createLimiter } from '../limits/limiter.ts'
import { startMaintenance } from '../maintenance.ts'
import { createOutboxUpkeep } from '../messages/outbox-upkeep-store.ts'
import { serveMetrics } from '../observability/start-observability.ts'
import { announce, boot, prepareStore } from '../process/boot.ts'
import { explain } from '../process/explain.ts'
import { messageSender } from '../process/send-messages.ts'
import { onShutdown } from '../process/shutdown.ts'
import { createOneTimeTokenStore } from '../recovery/one-time-token-store.ts'
import { revocationExpiry } from '../revocations/revocation.ts'
import { createRevocationStore } from '../revocations/revocation-store.ts'
import { createSessionStore } from '../sessions/session-store.ts'
import { createSupervisor, type Supervisor } from './supervisor.ts'

/**
 * The process that supervises the workers. It serves no requests, and does what must happen once: the first key, the
 * tables, counting for the limits, maintenance, sending messages, the page of metrics, the audit rows of key changes.
 * When it dies, for whatever reason, the workers end too.
 */
export async function startPrimary(config: Config): Promise<void> {
  const booted = await boot({ ...config, DATABASE_POOL_SIZE: 1 }, { openStore: prepareStore, reportsKeys: true })
  const { logger, folder, database, keyring } = booted
  const sender = await messageSender(booted)

  let gaveUp: OperatorError | undefined
  const giveUp = (error: OperatorError) => {
    gaveUp = error
    process.stderr.write(explain(error))
    shutdown?.close()
  }
  const limiter = createLimiter(config, systemClock)
  const supervisor = createSupervisor({ config, logger, limiter, onDeath: (id) => aggregate?.retire(id), giveUp })
  process.once('exit', supervisor.kill)
  const aggregate = config.METRICS_PORT === undefined ? undefined : await aggregateMetricsOf(supervisor)
  const page = aggregate && (await serveMetrics(config, aggregate, logger))
  await supervisor.start()
  announce(logger, config)
  sender?.start()

  const stops = [followKeys(folder, keyring.reload), maintainStore(config, database, logger)]
  process.on('SIGHUP', () => {
    void keyring.reload()
    supervisor.reload()
  })
  const shutdown = onShutdown({ config, logger }, async () => {
    for (const stop of stops) stop()
    await Promise.all([supervisor.drain(), sender?.stop()])
    await database.close()
    await page?.close()
    if (gaveUp !== undefined) throw gaveUp
  })
}

async function aggregateMetricsOf({ collect }: Supervisor) {
  const { createAggregateMetrics } = await import('../observability/aggregate-metrics.ts')
  return createAggregateMetrics(collect)
}

function maintainStore(config: Config, database: Database, log: Logger): () => void {
  return startMaintenance({
    sessions: createSessionStore(database),
    revocationStore: createRevocationStore(database),
    clients: createClientStore(database),
    auditStore: createAuditStore(database),
    outbox: createOutboxUpkeep(database),
    oneTimeTokens: createOneTimeTokenStore(database),
    retention: config.AUDIT_RETENTION,
    now: createDeletionClock(systemClock, monotonicClock, revocationExpiry(0)),
    log,
  })
}
