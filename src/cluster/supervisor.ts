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
import { createLimiterDoor, type LimiterDoor } from './shared-limiter.ts'

/** Milliseconds. A worker looks into the store as often by itself: there is nothing to gain from waiting longer for one that is stuck. */
const CHANGED_TIMEOUT_MS = 250
const METRICS_TIMEOUT_MS = 1000

interface WorkerHandle {
  readonly worker: Worker
  readonly rpc: Rpc<WorkerCalls>
  readonly door: LimiterDoor
  readonly startedAt: number
  /** It takes connections, or is about to, and has to know what is withdrawn. */
  joined: boolean
  listening: boolean
  /** Why it could not start. */
  failure?: OperatorError
}

interface Options {
  readonly config: Config
  readonly logger: Logger
  /** Counts for all of them. */
  readonly limiter: Limiter
  readonly onDeath: (id: number) => void
  /** There is no point in going on. */
  readonly giveUp: (error: OperatorError) => void
}

/** The workers of this process: as many as the settings say, each replaced when it ends unasked. */
export interface Supervisor {
  /** Resolves when all of them listen. @throws OperatorError when one can't */
  start(): Promise<void>
  reload(): void
  /** Asks every process for its metrics; those that do not answer are left out. */
  collect(): Promise<ReadonlyMap<number, Collected>>
  /** Lets requests in flight finish, and resolves when the last worker has ended. @throws when one did not end well */
  drain(): Promise<void>
  /** Ends all of them at once. */
  kill(): void
}

export function createSupervisor({ config, logger, limiter, onDeath, giveUp }: Options): Supervisor {
  const handles = new Map<number, WorkerHandle>()
  const restartPolicy = createRestartPolicy()
  let starting: { resolve(): void; reject(error: Error): void } | undefined
  let draining: { resolve(): void; failed: boolean } | undefined

  // Workers take connections themselves. Dealt out by this process, one that is on its way to a worker that is killed would hang for
  // ever: Node 24 neither gives it to another one nor closes it.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ exec: fileURLToPath(new URL('./worker.ts', import.meta.url)), serialization: 'advanced' })

  const spawn = () => {
    const worker = cluster.fork({ PORT: String(config.PORT) }) // the one that was found for PORT=0
    const door = createLimiterDoor(limiter)
    const handle: WorkerHandle = {
      worker,
      door,
      rpc: createRpc<WorkerCalls>({ send: sendTo(worker), calls: answersTo(worker.id, door) }),
      startedAt: monotonicClock(),
      joined: false,
      listening: false,
    }
    handles.set(worker.id, handle)
    worker.on('message', handle.rpc.receive)
    worker.on('error', () => undefined) // a message to one that is dying; its end is told below
    worker.once('listening', () => {
      handle.listening = true
      if ([...handles.values()].every(({ listening }) => listening)) starting?.resolve()
    })
    worker.once('exit', (code, signal) => onExit(handle, code, signal))
  }

  const answersTo = (id: number, door: LimiterDoor): PrimaryCalls => ({
    ...door.calls,
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
    const { worker, rpc, door, startedAt, failure } = handle
    handles.delete(worker.id)
    rpc.close()
    door.leave()
    if (draining !== undefined) {
      draining.failed ||= code !== 0 && signal !== 'SIGTERM' // one that was still starting, in a signal to all processes
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
    worker.send(message, () => undefined) // a failure in between is told by its exit
  }
}
