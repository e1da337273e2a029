import { type OutgoingHttpHeaders, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../../src/errors/app-error.ts'
import { freePort } from '../../../../test/support/free-port.ts'
import type { Mint } from '../../../../test/support/mint.ts'
import type { Issuer } from '../issuer.ts'
import { badTokens } from '../tokens.ts'
import { type Command, start } from '../verifiers.ts'
import type { Framework } from './frameworks.ts'

/** The longest time to start, and to hear of a revocation. */
const TIMEOUT_MS = 30_000

export interface FrameworkTrial {
  readonly framework: Framework
  readonly version: string
  /** One word per column of the report. */
  readonly cells: Map<string, string>
  readonly faults: string[]
}

/** A recipe that runs. */
export interface Service {
  /** Asks with these Authorization lines. */
  ask(path: string, lines?: readonly string[]): Promise<Reply>
  stop(): void
}

interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Starts the program and waits until it answers. */
export async function startService({ prefix = '' }: Framework, command: Command): Promise<Service> {
  const port = await freePort()
  const { child, complaint } = start({ ...command, env: { ...command.env, PORT: String(port) } })
  const ask: Service['ask'] = (path, lines = []) =>
    new Promise((resolve, reject) => {
      const headers = {
        'x-user': 'mallory',
        user: 'mallory',
        ...(lines.length > 0 && { authorization: [...lines] }),
      } as object
      const to = { port, host: '127.0.0.1', path: `${prefix}${path}` }
      const sent = request({ ...to, headers: headers as OutgoingHttpHeaders }, (reply) => {
        let body = ''
        reply.setEncoding('utf8').on('data', (chunk) => {
          body += chunk
        })
        reply.on('end', () => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, body }))
      })
      sent.on('error', reject).end()
    })
  const deadline = performance.now() + TIMEOUT_MS
  while (!(await ask('/health').catch(() => undefined))) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new OperatorError(`${command.args} does not listen: ${complaint()}`)
    await sleep(50)
  }
  return { ask, stop: () => void child.kill() }
}

/** Tokens good and bad, a role that is missing, a public route, and two Authorization lines. */
export async function tokens(trial: FrameworkTrial, service: Service, issuer: Issuer, mint: Mint): Promise<void> {
  const { isGateway = false, showsOneLine = false } = trial.framework
  const good = `Bearer ${await issuer.logIn()}`
  const bad = Object.values(badTokens(mint, good.slice(7), await issuer.feed()))
  await expect(trial, 'good', service.ask('/me', [good]), 200, good)
  for (const [what, token] of bad.flatMap((tokens) => Object.entries(tokens)))
    await expect(trial, 'bad', service.ask('/me', [`Bearer ${token}`]), 401, what)
  const bare = await service.ask('/me')
  await expect(trial, 'no token', Promise.resolve(bare), 401, 'no token')
  if (!isGateway) isProblem(trial, bare, 'missing_token')
  await expect(trial, 'no scope', service.ask('/reports', [good]), 403, 'a person')
  const scoped = `Bearer ${mint.token({ claims: { scope: 'reports:read' } })}`
  await expect(trial, 'scope', service.ask('/reports', [scoped]), 200, 'a service')
  await expect(trial, 'public', service.ask('/health'), 200, 'nobody')
  const two = await service.ask('/me', [good, good])
  trial.cells.set('two lines', String(two.status))
  if (two.status < 400 && !showsOneLine) trial.faults.push(`${trial.framework.name}: two lines: ${two.status}`)
}

/** @param what for `good` the credential, whose subject must be told; else the name of the case */
async function expect(trial: FrameworkTrial, column: string, asked: Promise<Reply>, status: number, what: string) {
  const { status: given, body } = await asked
  const isTold = column !== 'good' || JSON.parse(body).sub === subject(what)
  if (given !== status || !isTold)
    trial.faults.push(
      `${trial.framework.name}: ${column}: ${column === 'good' ? '' : what} ${given} ${body.slice(0, 200)}`,
    )
  trial.cells.set(column, String(given))
}

function isProblem({ framework, faults }: FrameworkTrial, { headers, body }: Reply, code: string): void {
  const isRight =
    /^application\/problem\+json/.test(String(headers['content-type'])) &&
    /^Bearer realm="signet"/.test(String(headers['www-authenticate'])) &&
    JSON.parse(body).code === code
  if (!isRight) faults.push(`${framework.name}: not a problem document: ${JSON.stringify(headers)} ${body}`)
}

const subject = (credential: string) =>
  JSON.parse(Buffer.from(credential.split('.')[1] ?? '', 'base64url').toString()).sub

/** Milliseconds from the answer of a logout to the first refusal. */
export async function revoked(trial: FrameworkTrial, service: Service, issuer: Issuer): Promise<void> {
  const token = await issuer.logIn()
  const ask = async () => (await service.ask('/me', [`Bearer ${token}`])).status
  const before = await ask()
  await issuer.logOut(token)
  const began = performance.now()
  let status = await ask()
  while (status === 200 && performance.now() - began < TIMEOUT_MS) {
    await sleep(10)
    status = await ask()
  }
  if (before !== 200 || status !== 401) trial.faults.push(`${trial.framework.name}: revoked: ${before}, ${status}`)
  trial.cells.set('revoked', `${Math.round(performance.now() - began)} ms`)
}

/** A service that starts while the issuer is away does not know: it must not say that the token is bad. */
export async function away(trial: FrameworkTrial, service: Service, credential: string): Promise<void> {
  const { status } = await service.ask('/me', [credential])
  if (status !== (trial.framework.isGateway ? 500 : 503)) trial.faults.push(`${trial.framework.name}: away: ${status}`)
  trial.cells.set('issuer away', String(status))
}
