import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { OperatorError } from '../../src/errors.ts'
import { UsageError } from '../command-line.ts'
import { twoCores } from './cores.ts'
import { type Bench, type Figure, measure } from './figure.ts'
import { boot, firstBoot } from './figures/boot.ts'
import { login } from './figures/login.ts'
import { me } from './figures/me.ts'
import { memory } from './figures/memory.ts'
import { revoked } from './figures/revoked.ts'
import { sign } from './figures/sign.ts'
import { machine, report } from './report.ts'

const FIGURES: readonly Figure[] = [me, revoked, sign, login, boot, firstBoot, memory]

const HELP = `Usage: npm run bench -- [--only <figure>]... [--rounds <n>] [--seconds <n>]

Measures Signet beside what this machine and the bare framework can do, in turn (A B A B …), on 127.0.0.1 only.

Options
  --only <figure>  one of ${FIGURES.map(({ name }) => name).join(', ')}; may be repeated
  --rounds <n>     measured rounds per side, 1..20 (5)
  --seconds <n>    length of a round, 1..10 (2)`

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`bench: error: ${explained(error)}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

async function main(): Promise<number> {
  const { help, rounds, seconds, figures } = options()
  if (help) {
    console.log(HELP)
    return 0
  }
  const bench: Bench = { rounds, seconds, folder: temporaryFolder(), cores: twoCores() }
  const before = loadavg()[0] ?? 0
  const measured = []
  for (const figure of figures) {
    process.stderr.write(`measuring ${figure.name} …\n`)
    measured.push(await measure(figure, bench))
  }
  console.log(report(measured))
  console.log(`\n${machine(bench)} (${before.toFixed(2)} before)`)
  // Our own processes fill the cores during the run, so only the load before it tells of others.
  if (before > availableParallelism() / 2)
    console.log(
      'warning: other programs were using this machine when the run began; the figures are not to be relied on',
    )
  return 0
}

/** Removed however this process ends. */
function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'signet-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))
  return folder
}

function options() {
  const { help, only, rounds, seconds } = parsed()
  const unknown = only.find((name) => !FIGURES.some((figure) => figure.name === name))
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: there is no such figure`)
  return {
    help,
    rounds: within('rounds', rounds, 20),
    seconds: within('seconds', seconds, 10),
    figures: FIGURES.filter(({ name }) => only.length === 0 || only.includes(name)),
  }
}

function parsed() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        only: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '2' },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** Bounded, so that a round of all figures ends before the tokens it uses do. */
function within(name: string, text: string, most: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new UsageError(`--${name} takes a whole number, 1..${most}`)
  return value
}

function explained(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\nhint: npm run bench -- --help`
  return error instanceof OperatorError ? error.message : ((error as Error).stack ?? String(error))
}
