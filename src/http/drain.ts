import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { monotonicClock } from '../clock.ts'
import type { App } from './app-type.ts'

const IDLE_SWEEP_INTERVAL_MS = 50

/**
 * True from the first signal to stop. The server still answers requests then, but `/health/ready` tells load balancers
 * to send no more.
 */
export type IsStopping = () => boolean

/**
 * Closes idle connections while the server stops. Fastify lets requests in flight finish, but Node would then keep
 * their connections alive for more than a minute. The sweep runs only while stopping, so it costs a running server
 * nothing.
 */
export function registerDrain(app: App): void {
  app.addHook('preClose', (done) => {
    const sweep = setInterval(() => app.server.closeIdleConnections(), IDLE_SWEEP_INTERVAL_MS)
    app.server.once('close', () => clearInterval(sweep))
    if (!app.server.listening) clearInterval(sweep)
    done()
  })
}

/**
 * From now on every response closes its connection: a connection kept alive would be cut just when the client sends its
 * next request. This is a listener and not a Fastify hook, because a hook costs time on every request from the start of
 * the server.
 */
export function endConnectionsWithAnswers(app: App): void {
  app.server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'))
}

/** When no connection and no request has arrived for this long, everything that was under way has been read. */
const QUIET_MS = 100
/** The longest wait: a client that keeps sending would delay the shutdown for ever. */
const MAX_ARRIVAL_WAIT_MS = 2000

/**
 * Resolves when everything that had arrived has been read. Node takes a connection that it has not read yet for idle,
 * and closing would cut it. How long reading takes depends on the load of the machine, so this waits for a quiet period
 * and not for a fixed time.
 */
export async function arrivalsRead({ server }: App): Promise<void> {
  const deadline = monotonicClock() + MAX_ARRIVAL_WAIT_MS
  let lastArrival = monotonicClock()
  const arrived = () => {
    lastArrival = monotonicClock()
  }
  server.on('connection', arrived).on('request', arrived)
  while (monotonicClock() < Math.min(deadline, lastArrival + QUIET_MS)) {
    await sleep(QUIET_MS / 4)
    await turn() // in a turn of the event loop timers run first, and sockets are read after them
    await turn()
  }
  server.off('connection', arrived).off('request', arrived)
}
