import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Failure, Faults } from './failure.ts'
import { type Node, newService, startNode, terminate } from './node.ts'
import { people, type Tokens } from './people.ts'

/** The share of each kind, of a thousand requests. */
const KINDS = { verified: 0.4, refreshed: 0.3, slow: 0.3 }

interface InFlight {
  readonly socket: Socket
  readonly kind: keyof typeof KINDS
  /** The part of the request that it sends after the signal. */
  readonly rest: string
  answer: string
}

/**
 * SIGTERM while a thousand requests are at different stages: sent but not read, waiting for the store or a signature,
 * or with half a body sent.
 */
export const drainFailure: Failure = {
  title: 'SIGTERM with 1,000 requests in flight',
  async run(run) {
    const faults = new Faults()
    const node = await startNode(await newService(run))
    const [tokens] = await people(node.origin, 'drain@example.com', 1)
    const requests = await Promise.all(
      Object.entries(KINDS).flatMap(([kind, share]) =>
        Array.from({ length: share * 1000 }, () => dial(node, kind as InFlight['kind'], tokens as Tokens)),
      ),
    )
    await Promise.all(requests.map(({ socket, kind }) => written(socket, first(kind, tokens as Tokens))))
    const ending = terminate(node)
    await new Promise(setImmediate)
    for (const { socket, rest } of requests) if (rest !== '') socket.write(rest)
    await Promise.all(requests.map(({ socket }) => closed(socket)))
    const { code, ms } = await ending

    const statuses = new Map<string, number>()
    for (const { kind, answer } of requests) {
      const name = `${kind} ${answer.slice(9, 12) || 'not answered'}`
      statuses.set(name, (statuses.get(name) ?? 0) + 1)
      // They share one refresh token, which is repeated: every request is processed, none turned away.
      faults.expect(answer.slice(9, 12) === '200', name)
    }
    faults.expect(code === 0, `exit code ${code}`)
    const counts = [...statuses].map(([name, count]) => `${count} × ${name}`).join(', ')
    return { figures: `${counts}; gone after ${Math.round(ms)} ms with ${code}`, faults: faults.list() }
  },
}

async function dial({ origin }: Node, kind: InFlight['kind'], tokens: Tokens): Promise<InFlight> {
  const { port, hostname } = new URL(origin)
  const socket = connect(Number(port), hostname)
  const one: InFlight = { socket, kind, rest: kind === 'slow' ? body(tokens).slice(20) : '', answer: '' }
  socket.on('error', () => undefined) // after a reset the answer is missing, which is counted
  socket.on('data', (chunk) => {
    one.answer += chunk
  })
  await once(socket, 'connect')
  return one
}

/**
 * Resolves when the operating system has the bytes. Whether the server has read them is unknown, and must make no
 * difference.
 */
function written(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve) => socket.write(text, () => resolve()))
}

/** Not `once`, which rejects at an error: a reset also counts as closed. */
function closed(socket: Socket): Promise<unknown> | undefined {
  return socket.destroyed ? undefined : new Promise((resolve) => socket.once('close', resolve))
}

function first(kind: InFlight['kind'], tokens: Tokens): string {
  if (kind === 'verified') return `GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${tokens.access}\r\n\r\n`
  const text = body(tokens)
  const type = 'Content-Type: application/json'
  const head = `POST /v1/refresh HTTP/1.1\r\nHost: x\r\n${type}\r\nContent-Length: ${text.length}\r\n\r\n`
  return head + (kind === 'slow' ? text.slice(0, 20) : text)
}

const body = ({ refresh }: Tokens) => JSON.stringify({ refresh_token: refresh })
