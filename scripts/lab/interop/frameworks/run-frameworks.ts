import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import packageJson from '../../../../package.json' with { type: 'json' }
import { freePort } from '../../../../test/support/free-port.ts'
import { type Issuer, startIssuer } from '../issuer.ts'
import { HERE } from '../program.ts'
import { issuerMint } from '../tokens.ts'
import { FRAMEWORKS, type Framework } from './frameworks.ts'
import { away, type FrameworkTrial, revoked, startService, tokens } from './trial.ts'
import { typesOfFrameworks } from './types.ts'

const ROOT = join(HERE, '../../..')

/**
 * Runs the recipes of signet-verifier as they are printed, in a folder with the built package and the frameworks.
 *
 * @returns a table for the page, and what is wrong
 */
export async function tryFrameworks(
  parent: string,
  frameworks: readonly Framework[],
): Promise<{ report: string; faults: string[] }> {
  const folder = join(parent, 'frameworks')
  mkdirSync(folder)
  await install(folder, frameworks)
  const issuer = await startIssuer(folder)
  const trials: FrameworkTrial[] = []
  for (const framework of frameworks) {
    process.stderr.write(`${framework.name} …\n`)
    const version = await versionOf(folder, framework)
    const trial: FrameworkTrial = { framework, version, cells: new Map(), faults: [] }
    await tryOne(trial, folder, issuer).catch(({ message }) => void trial.faults.push(`${framework.name}: ${message}`))
    trials.push(trial)
  }
  const isAll = frameworks.length === FRAMEWORKS.length
  const faults = [...trials.flatMap((trial) => trial.faults), ...(isAll ? await typesOfFrameworks(folder) : [])]
  return { report: report(trials), faults }
}

async function install(folder: string, frameworks: readonly Framework[]): Promise<void> {
  process.stderr.write('building signet-verifier and installing frameworks from npm …\n')
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }')
  const run = (cwd: string, ...command: string[]) =>
    promisify(execFile)('sh', ['-c', 'unset NODE_OPTIONS; exec "$@"', 'sh', ...command], { cwd })
  await run(ROOT, 'npm', 'run', 'package')
  const tarball = join(ROOT, `dist/signet-verifier-${packageJson.version}.tgz`)
  const types = ['typescript', '@types/node', '@types/express', '@types/passport', '@types/aws-lambda']
  const packages = new Set([tarball, ...types, ...frameworks.flatMap((one) => one.packages)])
  await run(folder, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', ...packages)
}

async function versionOf(folder: string, { packages: [name] }: Framework): Promise<string> {
  if (name === undefined) return ''
  return JSON.parse(await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version
}

async function tryOne(trial: FrameworkTrial, folder: string, issuer: Issuer): Promise<void> {
  const { framework } = trial
  const env = { ...issuer.environment, NEXT_TELEMETRY_DISABLED: '1' }
  const args = await framework.prepare(folder, framework.recipe, env)
  const command = { program: process.execPath, args, env, cwd: folder }
  const service = await startService(framework, command)
  await tokens(trial, service, issuer, await issuerMint(issuer))
  await revoked(trial, service, issuer)
  service.stop()
  const nowhere = { ...env, ISSUER: `https://localhost:${await freePort()}` }
  const alone = await startService(framework, { ...command, env: nowhere })
  await away(trial, alone, `Bearer ${await issuer.logIn()}`)
  alone.stop()
}

function report(trials: readonly FrameworkTrial[]): string {
  const columns = [...new Set(trials.flatMap(({ cells }) => [...cells.keys()]))]
  const head = ['recipe', 'version', ...columns]
  const rows = trials.map(({ framework, version, cells }) => [
    `[${framework.name}](${framework.page})`,
    version,
    ...columns.map((column) => cells.get(column) ?? ''),
  ])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
