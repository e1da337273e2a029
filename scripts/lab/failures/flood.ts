import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Pipelined requests on one connection: the server allows a few more (32 wait behind the first). */
const PIPELINED = 30

/**
 * Sends raw HTTP/1.1 requests over a few connections: much faster than a client that parses the answers.
 *
 * @returns the number of answers by status
 */
export async function flood(
  origin: string,
  count: number,
  request: (index: number) => string,
  connections = 20,
): Promise<Map<string, number>> {
  const statuses = new Map<string, number>()
  let next = 0
  const worker = async () => {
    const socket = await dial(origin)
    while (next < count) {
      const batch = Array.from({ length: Math.min(PIPELINED, count - next) }, () => request(next++))
      for (const status of await answersTo(socket, batch)) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    socket.destroy()
  }
  await Promise.all(Array.from({ length: connections }, worker))
  return statuses
}

export async function dial(origin: string): Promise<Socket> {
  const { port, hostname } = new URL(origin)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.on('error', () => undefined) // the missing answer is counted
  return socket
}

/**
 * Sends several requests at once.
 *
 * @returns the statuses of their answers; `none` for each that never came
 */
export function answersTo(socket: Socket, requests: readonly string[]): Promise<string[]> {
  if (socket.destroyed) return Promise.resolve(requests.map(() => 'none'))
  return new Promise((resolve) => {
    let text = ''
    const look = () => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status = '']) => status)
    const end = () => {
      socket.off('data', read).off('close', end)
      const statuses = look()
      resolve([...statuses, ...Array.from({ length: requests.length - statuses.length }, () => 'none')])
    }
    const read = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (look().length >= requests.length) end()
    }
    socket.on('data', read).on('close', end)
    socket.write(requests.join(''))
  })
}

export function rawPost(path: string, body: string, headers = ''): string {
  // The server closes the connection after a body of a type that it does not read.
  const type = `Content-Type: application/${path.startsWith('/oauth/') ? 'x-www-form-urlencoded' : 'json'}`
  return `POST ${path} HTTP/1.1\r\nHost: x\r\n${type}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`
}
