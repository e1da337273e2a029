import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { monotonicClock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { OperatorError } from '../errors/app-error.ts'
import type { Limiter } from '../limits/limiter.ts'
import type { Collected } from '../observability/aggregate-metrics.ts'
import type { PrimaryCalls, WorkerCalls } from './calls.ts'
import { createRestartPolicy, HEALTHY_UPTIME_MS } from './restart-policy.ts'
import { createRpc, type Rpc } from './rpc.ts'
import { createWorkerLimiter, type WorkerLimiter } from './shared-limiter.ts'

/** A worker polls the store as often by itself: waiting longer for a stuck worker would gain nothing. */
const CHANGED_TIMEOUT_MS = 250
const METRICS_TIMEOUT_MS = 1000

interface WorkerHandle {
  readonly worker: Worker
  readonly rpc: Rpc<WorkerCalls>
  readonly workerLimiter: WorkerLimiter
  readonly startedAt: number
  /** It accepts connections, or is about to, and must be notified of revocations. */
  joined: boolean
  listening: boolean
  /** The reason why it could not start. */
  failure?: OperatorError
}

interface Options {
  readonly config: Config
  readonly logger: Logger
  /** The counters for all workers. */
  readonly limiter: Limiter
  readonly onDeath: (id: number) => void
  /** Called when starting more workers makes no sense. */
  readonly giveUp: (error: OperatorError) => void
}

/**
 * The workers of this process: as many as the settings say. Each is replaced when it ends without having been asked to.
 */
export interface Supervisor {
  /**
   * Resolves when all workers listen.
   *
   * @throws OperatorError when one can't
   */
  start(): Promise<void>
  reload(): void
  /** Asks every worker for its metrics; those that do not answer are left out. */
  collect(): Promise<ReadonlyMap<number, Collected>>
  /**
   * Lets requests in flight finish, and resolves when the last worker has ended.
   *
   * @throws Error when a worker did not end cleanly
   */
  drain(): Promise<void>
  /** Kills all workers at once. */
  kill(): void
}

export function createSupervisor({ config, logger, limiter, onDeath, giveUp }: Options): Supervisor {
  const handles = new Map<number, WorkerHandle>()
  const restartPolicy = createRestartPolicy()
  let starting: { resolve(): void; reject(error: Error): void } | undefined
  let draining: { resolve(): void; failed: boolean } | undefined

  // Workers accept connections themselves. If this process handed connections out, one that is on its way to a worker
  // that is killed would hang for ever: Node 24 neither gives it to another worker nor closes it.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ exec: fileURLToPath(new URL('./worker.ts', import.meta.url)), serialization: 'advanced' })

  const spawn = () => {
    const worker = cluster.fork({ PORT: String(config.PORT) }) // the free port, if PORT is 0
    const workerLimiter = createWorkerLimiter(limiter)
    const handle: WorkerHandle = {
      worker,
      workerLimiter,
      rpc: createRpc<WorkerCalls>({ send: sendTo(worker), calls: answersTo(worker.id, workerLimiter) }),
      startedAt: monotonicClock(),
      joined: false,
      listening: false,
    }
    handles.set(worker.id, handle)
    worker.on('message', handle.rpc.receive)
    worker.on('error', () => undefined) // a message to a dying worker; 'exit' reports its end
    worker.once('listening', () => {
      handle.listening = true
      if ([...handles.values()].every(({ listening }) => listening)) starting?.resolve()
    })
    worker.once('exit', (code, signal) => onExit(handle, code, signal))
  }

  const answersTo = (id: number, workerLimiter: WorkerLimiter): PrimaryCalls => ({
    ...workerLimiter.calls,
    publish: (channel) => publish(id, channel),
    join: () => {
      const handle = handles.get(id)
      if (handle) handle.joined = true
    },
    failed: (message, hint) => {
      const handle = handles.get(id)
      if (handle) handle.failure = new OperatorError(message, { ...(hint && { hint }) })
    },
  })

  const publish = async (from: number, channel: string) => {
    const others = [...handles.values()].filter(({ worker, joined }) => joined && worker.id !== from)
    await Promise.allSettled(others.map(({ rpc }) => rpc.call('changed', [channel], { timeoutMs: CHANGED_TIMEOUT_MS })))
  }

  const onExit = (handle: WorkerHandle, code: number | null, signal: string | null) => {
    const { worker, rpc, workerLimiter, startedAt, failure } = handle
    handles.delete(worker.id)
    rpc.close()
    workerLimiter.leave()
    if (draining !== undefined) {
      // SIGTERM: the worker was still starting when the signal went to all processes.
      draining.failed ||= code !== 0 && signal !== 'SIGTERM'
      if (handles.size === 0) draining.resolve()
      return
    }
    const how = signal === null ? `with code ${code}` : `by ${signal}`
    if (starting !== undefined)
      return starting.reject(failure ?? new OperatorError(`WORKERS: a worker ended ${how} before it listened`))
    logger.error(
      { worker: worker.process.pid, code, signal, reason: failure?.message },
      'a worker ended: another one takes its place',
    )
    onDeath(worker.id)
    replace(monotonicClock() - startedAt, failure?.message ?? how)
  }

  const replace = (lived: number, how: string) => {
    const next = restartPolicy(lived)
    if (next === 'give up')
      return giveUp(
        new OperatorError(
          `WORKERS: workers keep ending within ${HEALTHY_UPTIME_MS / 1000} s of their start; the last one: ${how}`,
          {
            hint: 'the log has the lines of each; WORKERS=1 shows what one of them does alone',
          },
        ),
      )
    setTimeout(() => draining === undefined && spawn(), next.after)
  }

  return {
    async start() {
      await new Promise<void>((resolve, reject) => {
        starting = { resolve, reject }
        for (let i = 0; i < config.WORKERS; i += 1) spawn()
      })
      starting = undefined
    },
    reload() {
      for (const { rpc } of handles.values()) rpc.call('reload', [], { timeoutMs: 1000 }).catch(() => undefined)
    },
    async collect() {
      const asked = [...handles.values()].map(async ({ worker, rpc }) => {
        const collected = await rpc.call('metrics', [], { timeoutMs: METRICS_TIMEOUT_MS })
        return [worker.id, collected] as const
      })
      const answers = await Promise.allSettled(asked)
      return new Map(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])))
    },
    async drain() {
      const ended = new Promise<void>((resolve) => {
        draining = { resolve, failed: false }
        if (handles.size === 0) resolve()
      })
      for (const { rpc } of handles.values()) rpc.call('drain', [], { timeoutMs: 1000 }).catch(() => undefined)
      await ended
      if (draining?.failed) throw new Error('a worker did not end well')
    },
    kill() {
      for (const { worker } of handles.values()) worker.process.kill('SIGKILL')
    },
  }
}

function sendTo(worker: Worker): (message: object) => void {
  return (message) => {
    if (!worker.isConnected()) throw new Error('the worker is gone')
    worker.send(message, () => undefined) // if sending fails, 'exit' reports the end of the worker
  }
}
