import { setTimeout as sleep } from 'node:timers/promises'
import type { Mint } from '../../../../test/support/mint.ts'
import type { Issuer } from '../issuer.ts'
import type { Fault } from './between.ts'
import { bearer, fault, type GatewayTrial, get, identityOf } from './gateway-trial.ts'

/** A gateway must give up on a silent gate within this time. */
const SILENT_MS = 8000
const REQUESTS = 100

const head = (status: string, ...lines: readonly string[]) =>
  [`HTTP/1.1 ${status}`, ...lines, 'Content-Length: 0', '', ''].join('\r\n')

/** What a client sees while the gate is away or broken. Nothing reaches the service. */
export async function gateDown(trial: GatewayTrial, token: string): Promise<void> {
  const column = 'gate down'
  const faults: [what: string, Fault][] = [
    ['refused', 'refused'],
    ['silent', 'silent'],
    ['cut', 'cut'],
    ['no HTTP', { answers: 'SSH-2.0-OpenSSH_9.2\r\n' }],
    ['500', { answers: head('500 Internal Server Error', 'X-Signet-Subject: x') }],
    ['404', { answers: head('404 Not Found', 'X-Signet-Subject: x') }],
    ['302', { answers: head('302 Found', 'Location: http://127.0.0.1:1/', 'X-Signet-Subject: x') }],
  ]
  const seen: string[] = []
  for (const [what, broken] of faults) {
    await trial.between.set(broken)
    const began = performance.now()
    const outcome = await get(trial, '/orders', bearer(token), 'X-Signet-Subject: acc_mallory')
    if (outcome.reached.length > 0 || outcome.statusCode < 300) fault(trial, column, `${what}: ${outcome.statusCode}`)
    if (performance.now() - began > SILENT_MS) fault(trial, column, `${what}: after ${performance.now() - began} ms`)
    seen.push(
      `${what}: ${outcome.statusCode}${outcome.headers['retry-after'] === undefined ? '' : ' with Retry-After'}`,
    )
    if (what === 'refused') trial.cells.set(column, String(outcome.statusCode))
    if ((await get(trial, '/public/page')).statusCode !== 200) fault(trial, column, `${what}: a public route`)
  }
  trial.reasons.push(`${trial.program.name}: the gate is: ${seen.join('; ')}`)
  await notReady(trial, token)
  await anotherServer(trial, token)
  await trial.between.set('none')
  if ((await get(trial, '/orders', bearer(token))).statusCode !== 200) fault(trial, column, 'when it is back')
}

/** The gate's own 503 comes with the time to wait. */
async function notReady(trial: GatewayTrial, token: string): Promise<void> {
  await trial.between.set({ answers: head('503 Service Unavailable', 'Retry-After: 7') })
  const { statusCode, headers, reached } = await get(trial, '/orders', bearer(token))
  if (statusCode !== 503 || headers['retry-after'] !== '7' || reached.length > 0)
    fault(trial, 'gate down', `its 503 is ${statusCode} with Retry-After ${headers['retry-after']}`)
  await trial.between.set({ answers: head('400 Bad Request', 'WWW-Authenticate: Bearer error="invalid_request"') })
  const bad = await get(trial, '/orders', bearer(token))
  if (bad.statusCode !== 400 || !bad.headers['www-authenticate']?.includes('invalid_request'))
    fault(trial, 'gate down', `its 400 is ${bad.statusCode}`)
}

/** A server that is no gate says yes to everybody. It is no identity, whatever the client says. */
async function anotherServer(trial: GatewayTrial, token: string): Promise<void> {
  await trial.between.set({ answers: head('200 OK') })
  const { reached } = await get(trial, '/orders', bearer(token), 'X-Signet-Subject: acc_mallory')
  const named = reached.flatMap(identityOf).find(([, value]) => value !== '')
  if (named !== undefined) fault(trial, 'gate down', `a server that is no gate: ${named}`)
  trial.reasons.push(`${trial.program.name}: a server that is no gate: ${reached.length} requests passed, no identity`)
}

/** Tokens of known keys pass; bad ones do not. */
export async function issuerDown(trials: readonly GatewayTrial[], issuer: Issuer, mint: Mint): Promise<void> {
  const column = 'issuer down'
  const [good, before] = [await issuer.logIn(), await issuer.logIn()]
  await issuer.logOut(before)
  await sleep(1000)
  issuer.cut(true)
  for (const trial of trials) {
    const rows = [
      ['a good token', good, 200],
      ['a new token', mint.token(), 200],
      ['taken back before', before, 401],
      ['a bad token', `${good.slice(0, -8)}AAAAAAAA`, 401],
    ] as const
    for (const [what, token, status] of rows) {
      const { statusCode } = await get(trial, '/orders', bearer(token))
      if (statusCode !== status) fault(trial, column, `${what}: ${statusCode}`)
    }
    if (!trial.cells.has(column)) trial.cells.set(column, 'good passes')
  }
  issuer.cut(false)
}

/** How many connections to the gate a hundred requests take, one after the other from one client. */
export async function keepAlive(trial: GatewayTrial, token: string): Promise<void> {
  const before = trial.between.connections
  for (let i = 0; i < REQUESTS; i += 1) await trial.verifier.ask(token)
  trial.cells.set('connections', `${trial.between.connections - before} new`)
}
