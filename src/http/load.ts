import underPressure from '@fastify/under-pressure'
import type { RouteLimit } from '../limits/limiter.ts'
import type { App } from './app-type.ts'

/** Milliseconds over which the delay of the event loop is averaged: long enough for one long pause to vanish in it. */
const SAMPLE_INTERVAL_MS = 1000

interface Options {
  /** Milliseconds an average turn of the event loop may be late; 0 = whatever. */
  readonly maxEventLoopDelay: number
  /** Calls that may wait for the store; 0 = any number. */
  readonly maxStoreQueue: number
  readonly store: { waiting(): number }
  readonly passwords: { isFull(): boolean }
}

/**
 * Whether there is room for issuing. Registered without thresholds, the plugin only measures and adds no hook: routes that verify
 * pay nothing.
 */
export async function registerLoad(app: App, options: Options): Promise<(limit: RouteLimit) => string | undefined> {
  const { maxEventLoopDelay, maxStoreQueue, store, passwords } = options
  const isLate = maxEventLoopDelay > 0 ? await watchEventLoop(app, maxEventLoopDelay) : () => false
  return (limit) => {
    if (isLate()) return 'the event loop is late'
    if (maxStoreQueue > 0 && store.waiting() > maxStoreQueue) return 'too many calls wait for the store'
    const hashes = limit === 'login' || limit === 'register' || limit === 'password'
    return hashes && passwords.isFull() ? 'the queue for password hashing is full' : undefined
  }
}

async function watchEventLoop(app: App, maxDelay: number): Promise<() => boolean> {
  await app.register(underPressure, { sampleInterval: SAMPLE_INTERVAL_MS })
  let booted = false
  app.addHook('onReady', (done) => {
    // Booting blocks the loop, and is over: no sample that saw any of it may refuse the first logins.
    setTimeout(() => {
      booted = true
    }, 2 * SAMPLE_INTERVAL_MS).unref()
    done()
  })
  return () => booted && app.memoryUsage().eventLoopDelay > maxDelay
}
