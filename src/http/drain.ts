import type { App } from './app-type.ts'

const SWEEP = 50 // milliseconds

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
