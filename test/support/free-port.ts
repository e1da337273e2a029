import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 on which nobody listens. Below the range that systems hand out: a client that finds a server
 * stopped must not get its port as its own, and the server must find it free when it is started again.
 */
export function freePort(): Promise<number> {
  const port = randomInt(15_000, 30_000)
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(freePort()))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(port)))
  })
}
