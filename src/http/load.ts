import underPressure from '@fastify/under-pressure'
import { AppError } from '../errors/app-error.ts'
import type { RouteLimit } from '../limits/limiter.ts'
import type { App } from './app-type.ts'

/** The delay of the event loop is averaged over this time, so that a single long pause hardly counts. */
const SAMPLE_INTERVAL_MS = 1000

/** The limits of routes that hash a password. */
const HASHING: ReadonlySet<RouteLimit> = new Set(['login', 'register', 'password', 'confirm'])

interface Options {
  /** Milliseconds that an average turn of the event loop may be late; 0 = no limit. */
  readonly maxEventLoopDelay: number
  /** How many calls may wait for the store; 0 = no limit. */
  readonly maxStoreQueue: number
  readonly store: { waiting(): number }
  readonly passwords: { refusal(network: string): AppError | undefined }
}

/** Whether the server has room for a request of a route with this limit, from this network. */
export type Overload = (limit: RouteLimit, network: () => string) => AppError | undefined

/**
 * Measures whether the server has room to issue tokens. The plugin is registered without thresholds: so it only
 * measures and adds no hook, and routes that only verify pay nothing.
 *
 * @returns a function that gives the error to refuse a request with, or undefined when there is room; `network` is
 *   called only when the answer depends on it
 */
export async function registerLoad(app: App, options: Options): Promise<Overload> {
  const { maxEventLoopDelay, maxStoreQueue, store, passwords } = options
  const isLate = maxEventLoopDelay > 0 ? await watchEventLoop(app, maxEventLoopDelay) : () => false
  const overloaded = (reason: string) => new AppError('overloaded', { reason })
  return (limit, network) => {
    // What only reads or ends sessions goes on: a logout must not depend on how busy the server is.
    if (limit === 'store') return undefined
    if (isLate()) return overloaded('the event loop is late')
    if (maxStoreQueue > 0 && store.waiting() > maxStoreQueue) return overloaded('too many calls wait for the store')
    return HASHING.has(limit) ? passwords.refusal(network()) : undefined
  }
}

async function watchEventLoop(app: App, maxDelay: number): Promise<() => boolean> {
  await app.register(underPressure, { sampleInterval: SAMPLE_INTERVAL_MS })
  let booted = false
  app.addHook('onReady', (done) => {
    // Booting blocks the event loop. A sample that includes a part of the boot must not refuse the first logins.
    setTimeout(() => {
      booted = true
    }, 2 * SAMPLE_INTERVAL_MS).unref()
    done()
  })
  return () => booted && app.memoryUsage().eventLoopDelay > maxDelay
}
