import type { App } from './app-type.ts'

const SWEEP = 50 // milliseconds

/** True from the first signal to stop: the server still takes requests, and asks load balancers to send no more. */
export type IsStopping = () => boolean

/**
 * Closing lets requests in flight finish. Their connections are then kept alive by Node for more than a minute, with nothing to
 * wait for; sweeping them out costs nothing while the server runs.
 */
export function registerDrain(app: App): void {
  app.addHook('preClose', (done) => {
    const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP)
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
