import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { monotonicClock } from '../clock.ts'
import type { App } from './app-type.ts'

const IDLE_SWEEP_INTERVAL_MS = 50 // milliseconds

/** True from the first signal to stop: the server still takes requests, and asks load balancers to send no more. */
export type IsStopping = () => boolean

/**
 * Closing lets requests in flight finish. Their connections are then kept alive by Node for more than a minute, with nothing to
 * wait for; sweeping them out costs nothing while the server runs.
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
 * From now on every answer takes its connection with it: one that is kept alive would be cut just when the next request is on its
 * way. Not a hook, because those cost every request of a server's life.
 */
export function endConnectionsWithAnswers(app: App): void {
  app.server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'))
}

/** Milliseconds without a new connection or request after which everything that was under way has been read. */
const QUIET_MS = 100
/** Milliseconds after which it is no use to wait for that: clients keep coming. */
const MAX_ARRIVAL_WAIT_MS = 2000

/**
 * Resolves when everything that had arrived was read. To Node a connection that is not read yet looks idle, and closing would cut it;
 * how long reading takes depends on what else the machine does, so arrivals are watched and no fixed time is waited for.
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
    await turn() // timers run before what waits in the sockets is read
    await turn()
  }
  server.off('connection', arrived).off('request', arrived)
}
