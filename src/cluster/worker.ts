import cluster from 'node:cluster'
import { loadConfig } from '../config/config.ts'
import { openDatabase } from '../db/open.ts'
import { OperatorError } from '../errors/app-error.ts'
import { startWorkerObservability } from '../observability/start-observability.ts'
import { boot } from '../process/boot.ts'
import { explain } from '../process/explain.ts'
import { tuneProcess } from '../process/runtime-tuning.ts'
import { serve } from '../process/serve.ts'
import { onShutdown } from '../process/shutdown.ts'
import type { PrimaryCalls, WorkerCalls } from './calls.ts'
import { createNotifications, notifiedDatabase } from './notified-database.ts'
import { createRpc } from './rpc.ts'
import { createRemoteLimiter } from './shared-limiter.ts'
import { workerConfig } from './worker-config.ts'

// One of several processes that serve, started by the primary. Node ends it when the primary is gone, so no worker is
// left behind.

/**
 * How long the primary and all other workers may take to confirm a notification; more than the primary gives each of
 * them.
 */
const PUBLISH_TIMEOUT_MS = 1000

let reload: () => Promise<void> = async () => undefined
let collect: WorkerCalls['metrics'] = async () => []
let drain: () => void = () => process.exit(0) // before it listens, nothing is in flight

const calls: WorkerCalls = {
  changed: (channel) => notifications.arrived(channel),
  metrics: () => collect(),
  reload: () => reload(),
  drain: () => drain(),
}
const rpc = createRpc<PrimaryCalls>({ send: sendToPrimary, calls })
const notifications = createNotifications((channel) =>
  rpc.call('publish', [channel], { timeoutMs: PUBLISH_TIMEOUT_MS }),
)

try {
  if (!cluster.isWorker) throw new OperatorError('this is a part of the server', { hint: 'WORKERS=2 npm start' })
  process.on('message', rpc.receive)
  process.on('SIGINT', () => undefined) // Ctrl-C reaches every process; the primary asks its workers to drain
  await start()
} catch (error) {
  await tellFailure(error)
  process.exit(1)
}

async function start(): Promise<void> {
  tuneProcess()
  const config = workerConfig(loadConfig())
  const openStore = async () => notifiedDatabase(await openDatabase(config), notifications)
  // The primary follows the same folder, and is the one that logs its changes and writes the audit rows.
  const booted = await boot(config, { openStore, reportsKeys: false })
  const observability = await startWorkerObservability(config)
  const close = await serve({
    ...booted,
    observability,
    limiter: createRemoteLimiter(rpc),
    runsMaintenance: false,
    sendsMessages: false,
    async beforeListening() {
      await rpc.call('join', [], { timeoutMs: 10_000 })
      await notifications.arrived() // revocations between the first read and `join`
    },
  })
  collect = observability.collect
  reload = booted.keyring.reload

  const shutdown = onShutdown({ ...booted, skip: ['SIGINT', 'SIGTERM'], quiet: true }, close)
  let asked = false
  drain = () => {
    // The primary's call and a signal to all processes mean the same, and both may arrive.
    if (asked) return
    asked = true
    shutdown.close()
  }
  process.on('SIGTERM', () => drain())
}

function sendToPrimary(message: object): void {
  if (!process.connected || process.send === undefined) throw new Error('the primary is gone')
  process.send(message, undefined, undefined, () => undefined)
}

/** The primary prints the reason, once for all workers that fail alike. */
async function tellFailure(error: unknown): Promise<void> {
  const foreseen = error instanceof OperatorError
  if (!foreseen || !process.connected) process.stderr.write(explain(error))
  const message = foreseen ? error.message : 'a worker could not start'
  await rpc.call('failed', [message, foreseen ? error.hint : undefined], { timeoutMs: 1000 }).catch(() => undefined)
}
