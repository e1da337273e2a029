import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { statusOf } from './node.ts'

/** How often the health of each server is checked. */
const LOOK_INTERVAL_MS = 100

export interface Balancer {
  readonly origin: string
  /** How many servers get requests now. */
  healthy(): number
  close(): void
}

/**
 * A typical load balancer: it keeps connections alive, distributes requests in turn, checks `/health/ready`, and never
 * repeats a request.
 */
export async function startBalancer(backends: readonly string[]): Promise<Balancer> {
  const pool = backends.map((origin) => ({ origin, healthy: false, agent: new Agent({ keepAlive: true }) }))
  const look = () =>
    Promise.all(
      pool.map(async (backend) => {
        backend.healthy = (await statusOf(`${backend.origin}/health/ready`)) === 200
      }),
    )
  let turn = 0
  const server = createServer((incoming, outgoing) => {
    const healthy = pool.filter((backend) => backend.healthy)
    const backend = healthy[turn++ % healthy.length]
    if (backend === undefined) outgoing.writeHead(502).end()
    else pass(incoming, outgoing, backend)
  })
  await look()
  const timer = setInterval(look, LOOK_INTERVAL_MS)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    healthy: () => pool.filter((backend) => backend.healthy).length,
    close() {
      clearInterval(timer)
      server.close()
      server.closeAllConnections()
      for (const { agent } of pool) agent.destroy()
    },
  }
}

function pass(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { origin, agent }: { origin: string; agent: Agent },
) {
  const { method = 'GET', url = '/' } = incoming
  const { connection: _, ...headers } = incoming.headers
  const onward = request(origin + url, { agent, method, headers }, (answer) => {
    const { connection: _, 'keep-alive': __, ...kept } = answer.headers
    outgoing.writeHead(answer.statusCode ?? 502, kept)
    answer.pipe(outgoing)
  })
  onward.once('error', () => (outgoing.headersSent ? outgoing.destroy() : outgoing.writeHead(502).end()))
  incoming.pipe(onward)
}
