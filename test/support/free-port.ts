import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 on which nobody listens, below the range of ephemeral ports. So no client gets the port of a
 * stopped server for its own connection, and the server finds it free when it starts again.
 */
export function freePort(): Promise<number> {
  const port = randomInt(15_000, 30_000)
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(freePort()))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(port)))
  })
}
