import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { UNLIMITED } from '../../../test/support/settings.ts'
import { makeRunFolder } from '../run-folder.ts'
import { followThroughCache } from './cache.ts'
import { clientCredentials } from './client.ts'
import { behindPublicNginx } from './deploy.ts'
import { FRAMEWORKS } from './frameworks/frameworks.ts'
import { tryFrameworks } from './frameworks/run-frameworks.ts'
import { GATEWAYS } from './gate/gateways.ts'
import { tryGateways } from './gate/try-gateways.ts'
import { tryGuards } from './guards/try-guards.ts'
import { LEAD_SECONDS, startIssuer } from './issuer.ts'
import { reachTools } from './mcp.ts'
import type { Place, Program } from './program.ts'
import { NPM_PACKAGES, PROGRAMS } from './programs.ts'
import { tryRuntimes } from './runtimes/run-runtimes.ts'
import { RUNTIMES } from './runtimes/runtimes.ts'
import { takenBack } from './taken-back.ts'
import { badTokens, issuerMint } from './tokens.ts'
import { accepts, refusesAll, refusesUnset, report, type Trial } from './trial.ts'

const EVERYTHING = [...PROGRAMS, ...GATEWAYS, ...RUNTIMES, ...FRAMEWORKS]
const HELP = `Usage: npm run interop [-- --only <name>]... [--times <n>] [--cold <n>] [--reasons]

Starts a real server and has its tokens verified by libraries and programs of other ecosystems, as they are installed
here, by gateways with signet-gate, and by signet-verifier in the runtimes and frameworks that npm can install. Takes twenty
minutes: key rotations, long polls and many revocations are part of it. Exits 1 when one of them that is here fails.

Options
  --only <name>  one of ${EVERYTHING.map(({ name }) => name).join(', ')}; may be repeated. MCP and deploy stand alone
  --times <n>    how many revocations each program, gateway and runtime has to notice (100)
  --cold <n>     how many verifiers start cold with one store (1000)
  --reasons      also print what each program said to each token, and where a runtime differs from Node`

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`interop: error: ${error instanceof OperatorError ? error.message : (error as Error).stack}\n`)
  process.exitCode = 1
}
process.exit()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      only: { type: 'string', multiple: true, default: [] },
      reasons: { type: 'boolean', default: false },
      times: { type: 'string', default: '100' },
      cold: { type: 'string', default: '1000' },
    },
  })
  if (values.help) {
    console.log(HELP)
    return 0
  }
  if (values.only.join() === 'MCP') {
    console.log(await reachTools(await startPlace(makeRunFolder('interop'))))
    return 0
  }
  if (values.only.join() === 'deploy') {
    console.log(await behindPublicNginx(makeRunFolder('interop')))
    return 0
  }
  const unknown = values.only.find((only) => !EVERYTHING.some(({ name }) => name === only))
  if (unknown !== undefined)
    throw new OperatorError(`--only ${unknown}: there is no such program, gateway, runtime or framework`)
  const isWanted = ({ name }: { name: string }) => values.only.length === 0 || values.only.includes(name)
  const folder = makeRunFolder('interop')
  const runtimes = RUNTIMES.filter(isWanted)
  const frameworks = FRAMEWORKS.filter(isWanted)
  const programs = PROGRAMS.filter(isWanted)
  const faults: string[] = []
  if (runtimes.length > 0) {
    const options = { times: count('times', values.times), cold: count('cold', values.cold), reasons: values.reasons }
    faults.push(...told(await tryRuntimes(folder, runtimes, options)))
  }
  if (frameworks.length > 0) faults.push(...told(await tryFrameworks(folder, frameworks)))
  const revocations = count('times', values.times)
  const gateways = GATEWAYS.filter(isWanted)
  if (gateways.length > 0) faults.push(...told(await tryGateways(folder, gateways, revocations, values.reasons)))
  if (programs.length > 0) faults.push(...(await tryPrograms(folder, programs, revocations, values.reasons)))
  for (const fault of new Set(faults)) process.stderr.write(`interop: error: ${fault}\n`)
  return faults.length === 0 ? 0 : 1
}

/** @returns what is wrong */
function told({ report, faults }: { report: string; faults: readonly string[] }): readonly string[] {
  console.log(`\n${report}\n`)
  return faults
}

function count(option: string, value: string): number {
  if (!/^[1-9]\d{0,5}$/.test(value)) throw new OperatorError(`--${option} ${value}: a number from 1 to 999999`)
  return Number(value)
}

/** @returns what is wrong */
async function tryPrograms(
  folder: string,
  wanted: readonly Program[],
  times: number,
  reasons: boolean,
): Promise<string[]> {
  const place = await startPlace(folder)
  const trials: Trial[] = []
  for (const program of wanted) {
    const version = await program.version(place)
    if (version === undefined) console.log(`left out: ${program.name} is not here (${program.install})`)
    else
      trials.push({ program, version, verifier: await program.start(place), cells: new Map(), reasons: [], faults: [] })
  }
  const columns = await tryAll(trials, place)
  process.stderr.write(`${times} revocations …\n`)
  columns.push(await takenBack(trials, place.issuer, times))
  console.log(`\n${report(trials, columns)}\n`)
  console.log(await clientCredentials(place, trials))
  console.log(await reachTools(place))
  console.log(await followThroughCache(place))
  console.log(await behindPublicNginx(folder))
  console.log(`\n${await tryGuards(place, trials)}\n`) // the last one: it revokes the signing key
  if (reasons) console.log(`\n${trials.flatMap(({ reasons }) => reasons).join('\n')}`)
  return trials.flatMap(({ faults }) => faults)
}

async function startPlace(folder: string): Promise<Place> {
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  process.stderr.write('installing libraries from npm …\n')
  // npm must not inherit the options of this process.
  const install = 'unset NODE_OPTIONS; exec npm install --prefer-offline --no-audit --no-fund "$@"'
  await promisify(execFile)('sh', ['-c', install, 'npm', ...NPM_PACKAGES], { cwd: folder })
  return { folder, issuer: await startIssuer(folder, UNLIMITED) }
}

/** @returns the columns of the report */
async function tryAll(trials: readonly Trial[], place: Place): Promise<string[]> {
  const { issuer } = place
  const old = await issuer.logIn()
  const mint = await issuerMint(issuer)
  const several = mint.token({ claims: { aud: ['https://other.example.com', issuer.audience] } })
  const bad = badTokens(mint, old, await issuer.feed())
  process.stderr.write('good and bad tokens …\n')
  const good = { 'a token': old, 'a token for two': several }
  await each(trials, async (trial) => {
    await accepts(trial, 'good', good)
    await refusesAll(trial, bad)
    await refusesUnset(trial, place, old)
    await accepts(trial, 'good', good)
  })

  process.stderr.write(`rotating the key; the next one signs in ${LEAD_SECONDS} s …\n`)
  await issuer.rotate()
  await each(trials, async ({ verifier }) => verifier.keysChanged?.())
  await sleep(LEAD_SECONDS * 1000)
  const tokens = { 'a token from before the rotation': old, 'a token of the next key': await nextToken() }
  await each(trials, (trial) => accepts(trial, 'rotation', tokens))
  return ['good', ...Object.keys(bad), 'rotation']

  async function nextToken(): Promise<string> {
    const kid = (token: string) => Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()
    for (;;) {
      const token = await issuer.logIn()
      if (kid(token) !== kid(old)) return token
      await sleep(500)
    }
  }
}

async function each(trials: readonly Trial[], work: (trial: Trial) => Promise<void>): Promise<void> {
  await Promise.all(trials.map(work))
}
