import { mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../../src/errors/app-error.ts'
import { freePort } from '../../../../test/support/free-port.ts'
import { ROOT } from '../../../../test/support/service.ts'
import { UNLIMITED } from '../../../../test/support/settings.ts'
import { type Issuer, startIssuer } from '../issuer.ts'
import type { Place, Program } from '../program.ts'
import { takenBack } from '../taken-back.ts'
import { badTokens, issuerMint } from '../tokens.ts'
import { accepts, refusesAll, report } from '../trial.ts'
import { httpVerifier, start } from '../verifiers.ts'
import { Backend } from './backend.ts'
import { Between } from './between.ts'
import { forgedIdentity } from './forgery.ts'
import { fault, type GatewayTrial } from './gateway-trial.ts'
import { type Gateway, ownFolder } from './gateways.ts'
import { gateDown, issuerDown, keepAlive } from './outages.ts'
import { demands, notATokenOfTheHeader, smuggled, spelledPaths } from './routes.ts'

/** Every question of every gateway: nothing of the client's but its headers. */
const QUESTION = /^GET \/(\?(scope=invoices:read|role=admin)?)? HTTP\/1\.[01]$/

/**
 * Gateways that ask signet-gate: what a service behind them gets, and what a client sees.
 *
 * @param times how many revocations each of them has to notice
 * @param reasons whether the report has the answer to each token, too
 */
export async function tryGateways(
  folder: string,
  wanted: readonly Gateway[],
  times: number,
  reasons: boolean,
): Promise<{ report: string; faults: readonly string[] }> {
  const own = await mkdtemp(join(folder, 'gateways-'))
  const place = { folder: own, issuer: await startIssuer(own, UNLIMITED) }
  const trials = await startGateways(place, wanted)
  await tryAll(trials, place.issuer, times)
  const lines = reasons ? ['', ...trials.flatMap(({ reasons }) => reasons)] : []
  return { report: [tables(trials), ...lines].join('\n'), faults: trials.flatMap(({ faults }) => faults) }
}

async function startGateways(place: Place, wanted: readonly Gateway[]): Promise<GatewayTrial[]> {
  const gatePort = await startGate(place.issuer)
  const trials: GatewayTrial[] = []
  for (const gateway of wanted) {
    const version = await gateway.version(place)
    if (version === undefined) console.log(`left out: ${gateway.name} is not here (${gateway.install})`)
    else trials.push(await startGateway(gateway, version, place, gatePort))
  }
  return trials
}

async function tryAll(trials: readonly GatewayTrial[], issuer: Issuer, times: number): Promise<void> {
  const mint = await issuerMint(issuer)
  const token = await issuer.logIn()
  const subject = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub
  const bad = badTokens(mint, token, await issuer.feed())
  process.stderr.write('gateways with signet-gate: tokens, forged identity, a broken gate …\n')
  for (const trial of trials) {
    await accepts(trial, 'good', { 'a token': token })
    await refusesAll(trial, bad)
    await demands(trial, mint)
    await spelledPaths(trial, mint)
    await notATokenOfTheHeader(trial, token)
    await forgedIdentity(trial, token, subject)
    await smuggled(trial, token)
    await keepAlive(trial, token)
    onlyQuestions(trial)
    await gateDown(trial, token)
  }
  await issuerDown(trials, issuer, mint)
  process.stderr.write(`${times} revocations …\n`)
  await takenBack(trials, issuer, times)
}

const TOKENS = [
  'good',
  'tampered',
  'expired',
  'other aud',
  'other iss',
  'no claim',
  'confusion',
  'demands',
  'taken back',
]
const REQUESTS = [
  'spelled paths',
  'elsewhere',
  'forged identity',
  'smuggled',
  'gate down',
  'issuer down',
  'connections',
]

/** Two tables, because one would be too wide for a page. */
function tables(trials: readonly GatewayTrial[]): string {
  const rows = trials.map(({ program, cells }) => [program.name, ...REQUESTS.map((column) => cells.get(column) ?? '')])
  const head = ['gateway', ...REQUESTS]
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  return `${report(trials, TOKENS)}\n\n${table.join('\n')}`
}

/** @returns its port */
async function startGate(issuer: Issuer): Promise<number> {
  const port = await freePort()
  const args = ['--import', join(ROOT, 'src/require-node.js'), join(ROOT, 'src/verifier/gate/signet-gate.ts')]
  const env = { ...issuer.environment, PORT: String(port) }
  const { child, complaint } = start({ program: process.execPath, args, env, cwd: ROOT })
  child.stdout?.resume()
  while (!(await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined))?.ok) {
    if (child.exitCode !== null) throw new OperatorError(`signet-gate does not start: ${complaint()}`)
    await sleep(50)
  }
  return port
}

async function startGateway(gateway: Gateway, version: string, place: Place, gatePort: number): Promise<GatewayTrial> {
  const [between, backend, port] = [await Between.to(gatePort), await Backend.start(), await freePort()]
  const folder = await ownFolder(place.folder, gateway.name)
  const command = await gateway.prepare(folder, { listen: port, gate: between.port, app: backend.port })
  const { child, verifier } = await httpVerifier(command, `http://127.0.0.1:${port}/`)
  child.stdout?.resume()
  const program: Program = { ...gateway, start: () => Promise.reject(new Error('it runs already')) }
  return { program, version, verifier, port, between, backend, cells: new Map(), reasons: [], faults: [] }
}

function onlyQuestions(trial: GatewayTrial): void {
  const questions = trial.between.asked.split('\r\n\r\n').slice(0, -1)
  const wrong = questions.map((question) => question.split('\r\n')[0] ?? '').filter((line) => !QUESTION.test(line))
  if (wrong.length > 0) fault(trial, 'demands', `the gate was asked ${JSON.stringify(wrong[0]?.slice(0, 100))}`)
}
