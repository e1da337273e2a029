import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { monotonicClock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { OperatorError } from '../errors/app-error.ts'
import type { Limiter } from '../limits/limiter.ts'
import type { Collected } from '../observability/aggregate-metrics.ts'
import type { PrimaryCalls, WorkerCalls } from './calls.ts'
import { createReplacement, GOOD_LIFE } from './restart-policy.ts'
import { createLine, type Line } from './rpc.ts'
import { createLimiterDoor, type LimiterDoor } from './shared-limiter.ts'

/** Milliseconds. A worker looks into the store as often by itself: there is nothing to gain from waiting longer for one that is stuck. */
const NEWS_PATIENCE = 250
const METRICS_PATIENCE = 1000

interface Member {
  readonly worker: Worker
  readonly line: Line<WorkerCalls>
  readonly door: LimiterDoor
  readonly bornAt: number
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
export interface Crew {
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

export function createCrew({ config, logger, limiter, onDeath, giveUp }: Options): Crew {
  const members = new Map<number, Member>()
  const replacement = createReplacement()
  let starting: { resolve(): void; reject(error: Error): void } | undefined
  let draining: { resolve(): void; failed: boolean } | undefined

  // Workers take connections themselves. Dealt out by this process, one that is on its way to a worker that is killed would hang for
  // ever: Node 24 neither gives it to another one nor closes it.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ exec: fileURLToPath(new URL('./worker.ts', import.meta.url)), serialization: 'advanced' })

  const hire = () => {
    const worker = cluster.fork({ PORT: String(config.PORT) }) // the one that was found for PORT=0
    const door = createLimiterDoor(limiter)
    const member: Member = {
      worker,
      door,
      line: createLine<WorkerCalls>({ send: sendTo(worker), calls: answersTo(worker.id, door) }),
      bornAt: monotonicClock(),
      joined: false,
      listening: false,
    }
    members.set(worker.id, member)
    worker.on('message', member.line.receive)
    worker.on('error', () => undefined) // a message to one that is dying; its end is told below
    worker.once('listening', () => {
      member.listening = true
      if ([...members.values()].every(({ listening }) => listening)) starting?.resolve()
    })
    worker.once('exit', (code, signal) => lose(member, code, signal))
  }

  const answersTo = (id: number, door: LimiterDoor): PrimaryCalls => ({
    ...door.calls,
    publish: (channel) => publish(id, channel),
    join: () => {
      const member = members.get(id)
      if (member) member.joined = true
    },
    failed: (message, hint) => {
      const member = members.get(id)
      if (member) member.failure = new OperatorError(message, { ...(hint && { hint }) })
    },
  })

  const publish = async (from: number, channel: string) => {
    const others = [...members.values()].filter(({ worker, joined }) => joined && worker.id !== from)
    await Promise.allSettled(others.map(({ line }) => line.ask('changed', [channel], { patience: NEWS_PATIENCE })))
  }

  const lose = (member: Member, code: number | null, signal: string | null) => {
    const { worker, line, door, bornAt, failure } = member
    members.delete(worker.id)
    line.close()
    door.leave()
    if (draining !== undefined) {
      draining.failed ||= code !== 0 && signal !== 'SIGTERM' // one that was still starting, in a signal to all processes
      if (members.size === 0) draining.resolve()
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
    replace(monotonicClock() - bornAt, failure?.message ?? how)
  }

  const replace = (lived: number, how: string) => {
    const next = replacement(lived)
    if (next === 'give up')
      return giveUp(
        new OperatorError(
          `WORKERS: workers keep ending within ${GOOD_LIFE / 1000} s of their start; the last one: ${how}`,
          {
            hint: 'the log has the lines of each; WORKERS=1 shows what one of them does alone',
          },
        ),
      )
    setTimeout(() => draining === undefined && hire(), next.after)
  }

  return {
    async start() {
      await new Promise<void>((resolve, reject) => {
        starting = { resolve, reject }
        for (let i = 0; i < config.WORKERS; i += 1) hire()
      })
      starting = undefined
    },
    reload() {
      for (const { line } of members.values()) line.ask('reload', [], { patience: 1000 }).catch(() => undefined)
    },
    async collect() {
      const asked = [...members.values()].map(async ({ worker, line }) => {
        const collected = await line.ask('metrics', [], { patience: METRICS_PATIENCE })
        return [worker.id, collected] as const
      })
      const answers = await Promise.allSettled(asked)
      return new Map(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : [])))
    },
    async drain() {
      const ended = new Promise<void>((resolve) => {
        draining = { resolve, failed: false }
        if (members.size === 0) resolve()
      })
      for (const { line } of members.values()) line.ask('drain', [], { patience: 1000 }).catch(() => undefined)
      await ended
      if (draining?.failed) throw new Error('a worker did not end well')
    },
    kill() {
      for (const { worker } of members.values()) worker.process.kill('SIGKILL')
    },
  }
}

function sendTo(worker: Worker): (message: object) => void {
  return (message) => {
    if (!worker.isConnected()) throw new Error('the worker is gone')
    worker.send(message, () => undefined) // a failure in between is told by its exit
  }
}
