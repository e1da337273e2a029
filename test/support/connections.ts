import { Agent, request } from 'node:http'
import type { Test } from 'tap'
import { PASSWORD } from './app.ts'
import type { ServerProcess } from './service.ts'

// Connections that stay open, each to one worker: what is done on one can be looked at on another.

export interface Reply {
  readonly status: number
  readonly body: Record<string, string>
}

export interface Connection {
  /** Which process answers here. */
  readonly process: string
  ask(method: string, path: string, body?: object, token?: string): Promise<Reply>
}

export async function connection(t: Test, { url }: Pick<ServerProcess, 'url'>): Promise<Connection> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const ask: Connection['ask'] = (method, path, body, token) =>
    new Promise((resolve, reject) => {
      const headers = {
        ...(body && { 'content-type': 'application/json' }),
        ...(token && { authorization: `Bearer ${token}` }),
      }
      const sent = request(new URL(path, url), { method, agent, headers }, (reply) => {
        let text = ''
        reply.on('data', (chunk) => {
          text += chunk
        })
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, body: text === '' ? {} : JSON.parse(text) }))
        reply.on('error', reject)
      })
      sent.on('error', reject).end(body && JSON.stringify(body))
    })
  const { body } = await ask('GET', '/v1/me')
  return { ask, process: String(body.request_id).slice(0, 8) } // request ids begin with eight characters of their process
}

/** A connection to one of several workers: the system chooses, so others are opened until it is this one's turn. */
export async function connectionTo(
  t: Test,
  server: Pick<ServerProcess, 'url'>,
  worker: Connection['process'],
): Promise<Connection> {
  for (;;) {
    const one = await connection(t, server)
    if (one.process === worker) return one
  }
}

/** One connection to each of two workers. */
export async function bothWorkers(t: Test, server: Pick<ServerProcess, 'url'>): Promise<[Connection, Connection]> {
  const first = await connection(t, server)
  for (;;) {
    const second = await connection(t, server)
    if (second.process !== first.process) return [first, second]
  }
}

export async function person({ ask }: Connection, email: string): Promise<void> {
  const { status, body } = await ask('POST', '/v1/accounts', { email, password: PASSWORD })
  if (status !== 201) throw new Error(`register: ${JSON.stringify(body)}`)
}

export async function loginOn({ ask }: Connection, email: string): Promise<{ access: string; refresh: string }> {
  const { status, body } = await ask('POST', '/v1/login', { email, password: PASSWORD })
  if (status !== 200) throw new Error(`login: ${JSON.stringify(body)}`)
  return { access: String(body.access_token), refresh: String(body.refresh_token) }
}

/** Process ids of the workers that ever listened, in that order. */
export function workersOf(server: Pick<ServerProcess, 'output'>): number[] {
  const lines = server
    .output()
    .split('\n')
    .filter((line) => line.includes('listening at'))
  return lines.map((line) => JSON.parse(line).pid)
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
