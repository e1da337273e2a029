import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** How the bytes of the server get to the client. */
export type Answers = (upstream: Socket, client: Socket) => void

/**
 * Takes connections and leads them to another port of this machine, until it is ended or the test is over.
 *
 * @param options.port where it listens. Default: a free one
 * @param options.answers default: as they come
 */
export async function tcpProxy(
  t: Test,
  target: string,
  { port = 0, answers = (upstream, client) => void upstream.pipe(client) }: { port?: number; answers?: Answers } = {},
): Promise<{ readonly port: number; end(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(target).port), '127.0.0.1')
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy()).on('close', () => other.destroy())
    }
    client.pipe(upstream)
    answers(upstream, client)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const end = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  t.teardown(end)
  return { port: (server.address() as { port: number }).port, end }
}
