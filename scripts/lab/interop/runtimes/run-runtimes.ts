import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { UNLIMITED } from '../../../../test/support/settings.ts'
import { startIssuer } from '../issuer.ts'
import { issuerMint } from '../tokens.ts'
import { EMPTY_LINE_UNSEEN, hostileRequests, hostileTokens, makeTable } from './attacks.ts'
import { coldStarts, quietStart } from './cold.ts'
import { cutOff, nextKey, revocations, revokedWhileIdle } from './revoke.ts'
import { installPackage, installRuntime, type Runtime, type RuntimesPlace, startService } from './runtimes.ts'
import type { RuntimeTrial } from './trial.ts'

export interface RuntimesOptions {
  /** How many revocations are measured. */
  readonly times: number
  /** How many cold starts there are. */
  readonly cold: number
  readonly reasons: boolean
}

/**
 * Tries the built package in every runtime that npm can install here, against a server of their own.
 *
 * @returns the table, and what is wrong
 */
export async function tryRuntimes(folder: string, wanted: readonly Runtime[], options: RuntimesOptions) {
  const place = await startPlace(join(folder, 'runtimes'))
  const trials: RuntimeTrial[] = []
  const lines: string[] = []
  const faults: string[] = []
  for (const runtime of wanted) {
    const version = await installRuntime(place, runtime)
    if (version === undefined) lines.push(`left out: ${runtime.name} is not here (npm install ${runtime.npm})`)
    else
      await startService(await runtime.command(place)).then(
        (service) => trials.push({ runtime, version, ...service, counts: new Map(), notes: [], faults: [] }),
        (error) => faults.push(`${runtime.name}: ${reasonOf(error)}`),
      )
  }
  await tryAll(trials, place, options)
  for (const check of [quietStart, coldStarts]) {
    const failed = (error: Error) => ({
      line: `${check.name} failed`,
      faults: [reasonOf(error)],
    })
    const checked = await check(place, options).catch(failed)
    lines.push(checked.line)
    faults.push(...checked.faults)
  }
  for (const { runtime, notes, ...trial } of trials) {
    faults.push(...trial.faults.map((fault) => `${runtime.name}: ${fault}`))
    const told = [...notes, trial.complaint()].filter((text) => text !== '')
    if (options.reasons) lines.push(...told.map((text) => `${runtime.name}: ${text}`))
  }
  return { report: [report(trials), ...lines].join('\n'), faults }
}

/** The line that says why a program ended. */
function reasonOf(error: Error & { readonly stderr?: string }): string {
  const text = error.stderr || error.message
  const [line = text] = /^.*\bUncaught .*$/m.exec(text) ?? /^.*Error\b[^\n(]*: \S.*$/m.exec(text) ?? []
  return line.trim()
}

async function startPlace(folder: string): Promise<RuntimesPlace> {
  await mkdir(folder, { recursive: true })
  process.stderr.write('packing signet-verifier, installing the runtimes from npm …\n')
  await installPackage(folder)
  return { folder, issuer: await startIssuer(folder, UNLIMITED) }
}

async function tryAll(trials: readonly RuntimeTrial[], { issuer }: RuntimesPlace, { times }: RuntimesOptions) {
  await nextKey(trials, issuer) // the first: a flood of unknown key ids would make verifiers slow to look
  process.stderr.write(`${times} revocations …\n`)
  await revocations(trials, issuer, times)
  await revokedWhileIdle(trials, issuer)
  await cutOff(trials, issuer)
  process.stderr.write('hostile tokens and requests …\n')
  const table = await makeTable(await issuerMint(issuer), await issuer.logIn())
  for (const trial of trials) {
    await hostileTokens(trial, table)
    await hostileRequests(trial, table)
  }
}

/** The last two in milliseconds. */
const COLUMNS = ['tokens', 'two lines', 'next key', 'revoked']

function report(trials: readonly RuntimeTrial[]): string {
  const head = ['runtime', 'version', 'signature', ...COLUMNS]
  const rows = trials.map(({ runtime, version, counts }) => [
    `[${runtime.name}](${runtime.recipe})`,
    version,
    runtime.crypto,
    ...COLUMNS.map((column) => counts.get(column) ?? ''),
  ])
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  const marked = trials.filter(({ counts }) => counts.get('two lines')?.endsWith(EMPTY_LINE_UNSEEN))
  const notes = marked.map(({ runtime }) => `\n\\* ${runtime.name} does not show an Authorization line that is empty.`)
  return [...table, ...notes].join('\n')
}
