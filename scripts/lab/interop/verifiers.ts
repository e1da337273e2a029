import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../src/errors/app-error.ts'
import type { Environment } from './issuer.ts'

/** The longest wait for an answer, or for a program to start. */
const TIMEOUT_MS = 30_000

export interface Answer {
  readonly accepted: boolean
  /** The subject of the token, or the reason why it is refused. */
  readonly text: string
}

/** A program that verifies tokens and keeps running: its caches are part of the trial. */
export interface Verifier {
  /** Where it listens, if it is a server. */
  readonly url?: string
  ask(token: string): Promise<Answer>
  /** What the operator of the program must do between a rotation and the first token of the new key. */
  keysChanged?(): Promise<void>
}

export interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env: Environment
  readonly cwd?: string
}

/** Each process leads a process group of its own, so that the workers of a gateway end with it. */
const living = new Set<ChildProcess>()
process.on('exit', () => {
  for (const { pid } of living) if (pid !== undefined) process.kill(-pid, 'SIGKILL')
})

export function start({ program, args, env, cwd }: Command): { child: ChildProcess; complaint: () => string } {
  const child = spawn(program, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
  let complaint = ''
  child.stderr?.on('data', (chunk) => {
    complaint = `${complaint}${chunk}`.slice(-2000)
  })
  child.stdin?.on('error', () => undefined)
  living.add(child)
  child.once('exit', () => living.delete(child))
  child.once('error', (error) => {
    complaint = error.message
  })
  return { child, complaint: () => complaint.trim() }
}

/** A program that reads one token per line, and writes `accepted <sub>` or `refused <why>` for each. */
export function lineVerifier(command: Command): Verifier {
  const { child, complaint } = start(command)
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  return {
    async ask(token) {
      child.stdin?.write(`${token}\n`)
      const line = await inTime(lines.next(), command.program)
      if (line.done) throw new OperatorError(`${command.args} ended: ${complaint()}`)
      const [, verdict, text = ''] = /^(accepted|refused) ?(.*)/.exec(line.value) ?? []
      if (verdict === undefined) throw new OperatorError(`${command.args} wrote ${JSON.stringify(line.value)}`)
      return { accepted: verdict === 'accepted', text }
    },
  }
}

/** A server that answers `{"sub": …}` to a good token, and 401 or 403 to any other. */
export async function httpVerifier(command: Command, url: string, keysChanged?: () => Promise<void>) {
  const { child, complaint } = start(command)
  const deadline = performance.now() + TIMEOUT_MS
  while (!(await fetch(url).catch(() => undefined))) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new OperatorError(`${command.program} does not listen: ${complaint()}`)
    await sleep(50)
  }
  const ask = async (token: string): Promise<Answer> => {
    const reply = await fetchTwice(url, { authorization: `Bearer ${token}`, 'x-user': 'acc_mallory' })
    const text = await reply.text()
    if (reply.status === 200) return { accepted: true, text: JSON.parse(text).sub }
    if (![401, 403].includes(reply.status)) throw new OperatorError(`${command.program} answered ${reply.status}`)
    return { accepted: false, text: [reply.status, reply.headers.get('www-authenticate')].join(' ') }
  }
  return { child, verifier: { url, ask, ...(keysChanged === undefined ? {} : { keysChanged }) } satisfies Verifier }
}

/** A server may close a connection that was idle at the moment in which a request is sent on it. */
export async function fetchTwice(url: string, headers: Readonly<Record<string, string>>): Promise<Response> {
  const once = () => fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
  return once().catch(once)
}

/**
 * The application behind a gateway: it trusts the gateway's X-User header.
 *
 * @returns its `host:port`
 */
export async function startApplication(): Promise<string> {
  const server = createServer((request, reply) => reply.end(JSON.stringify({ sub: request.headers['x-user'] })))
  await once(server.listen(0, '127.0.0.1').unref(), 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  const timer = new AbortController()
  const late = sleep(TIMEOUT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new OperatorError(`${what} gave no answer within ${TIMEOUT_MS / 1000} s`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
    late.catch(() => undefined)
  }
}
