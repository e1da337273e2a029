import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { connection } from '../../support/connections.ts'
import { type Finished, type ServerProcess, said } from '../../support/service.ts'
import { PASSWORD } from '../../support/settings.ts'

// Requests in flight while a server ends.

const HEAD = 'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
const CUT = 5
const REQUESTS = 6

const portOf = ({ url }: Pick<ServerProcess, 'url'>) => Number(new URL(url).port)

interface HalfSent {
  readonly socket: Socket
  /** What is still to come. */
  readonly rest: string
}

/** A login whose body is still to come. Each `nth` is of another unknown account: no limit has seen it. */
export async function halfSent(server: ServerProcess, nth = 0): Promise<HalfSent> {
  const body = JSON.stringify({ email: `nobody-${nth}@example.com`, password: PASSWORD })
  const socket = connect(portOf(server), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(`${HEAD}Content-Length: ${body.length}\r\n\r\n${body.slice(0, CUT)}`)
  return { socket, rest: body.slice(CUT) }
}

/** Waits until nobody listens on the port of a server. */
export async function portIsFree(server: Pick<ServerProcess, 'url'>): Promise<void> {
  for (;;) {
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer().listen(portOf(server), '127.0.0.1')
      probe.once('error', () => resolve(false))
      probe.once('listening', () => probe.close(() => resolve(true)))
    })
    if (free) return
    await pause(20)
  }
}

/**
 * Half-sent requests when `signal` is called: they are sent to their end once the port is free, and each is answered.
 *
 * @returns how the server ended
 */
export async function nobodyIsCutOff(t: Test, server: ServerProcess, signal: () => void): Promise<Finished> {
  const requests = await Promise.all(Array.from({ length: REQUESTS }, (_, nth) => halfSent(server, nth)))
  await connection(t, server) // what was sent before is in
  signal()
  await said(server, 'requests in flight')
  await portIsFree(server)
  const answers = requests.map(({ socket }) => once(socket, 'data').then(([chunk]) => String(chunk)))
  for (const { socket, rest } of requests) socket.write(rest)
  for (const answer of await Promise.all(answers)) t.match(answer, /^HTTP\/1\.1 401 /, 'judged, not dropped')
  return server.finished
}
