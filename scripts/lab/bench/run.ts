import { availableParallelism, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { UsageError } from '../../cli/command-line.ts'
import { makeRunFolder } from '../run-folder.ts'
import { compare } from './comparison.ts'
import { twoCores } from './cores.ts'
import { type Bench, measure } from './figure.ts'
import { COMPARISONS, FIGURES } from './figures/all.ts'
import { comparisonReport, machine, report } from './report.ts'

const named = (list: readonly { name: string; onDemand?: boolean }[], onDemand: boolean) =>
  list.flatMap((one) => ((one.onDemand ?? false) === onDemand ? [one.name] : [])).join(', ')
const EVERYTHING = [...FIGURES, ...COMPARISONS]

const HELP = `Usage: npm run bench -- [--only <figure>]... [--all] [--rounds <n>] [--seconds <n>]

Measures Signet beside what this machine, the bare framework and its peers can do, in turn (A B A B …), on 127.0.0.1 only.

Options
  --only <figure>  one of ${named(EVERYTHING, false)};
                   or, left out unless named because they take minutes or packages from npm:
                   ${named(EVERYTHING, true)}; may be repeated
  --all            all of them
  --rounds <n>     measured rounds per side, 1..20 (5)
  --seconds <n>    length of a round, 1..10 (2)`

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`bench: error: ${explained(error)}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

async function main(): Promise<number> {
  const { help, rounds, seconds, figures, comparisons } = options()
  if (help) {
    console.log(HELP)
    return 0
  }
  const bench: Bench = { rounds, seconds, folder: temporaryFolder(), cores: twoCores() }
  const before = loadavg()[0] ?? 0
  const failed: string[] = []
  const measured = await eachOf(figures, (figure) => measure(figure, bench), failed)
  if (measured.length > 0) console.log(report(measured))
  await eachOf(comparisons, async (one) => console.log(`\n${comparisonReport(await compare(one, bench))}`), failed)
  console.log(`\n${machine(bench)} (${before.toFixed(2)} before)`)
  // Our own processes use all cores during the run, so only the load average from before shows other programs.
  if (before > availableParallelism() / 2)
    console.log(
      'warning: other programs were using this machine when the run began; the figures are not to be relied on',
    )
  if (failed.length > 0) console.log(`not measured: ${failed.join(', ')}`)
  return failed.length === 0 ? 0 : 1
}

/** A figure that can't be measured (no network for the peers, no /proc) does not end the run. */
async function eachOf<T extends { name: string }, R>(
  list: readonly T[],
  work: (one: T) => Promise<R>,
  failed: string[],
): Promise<R[]> {
  const done: R[] = []
  for (const one of list) {
    process.stderr.write(`measuring ${one.name} …\n`)
    try {
      done.push(await work(one))
    } catch (error) {
      process.stderr.write(`bench: error: ${one.name}: ${explained(error)}\n`)
      failed.push(one.name)
    }
  }
  return done
}

/** Removed however this process ends. */
function temporaryFolder(): string {
  const folder = makeRunFolder('bench')
  return folder
}

function options() {
  const { help, only, all, rounds, seconds } = parsed()
  const unknown = only.find((name) => !EVERYTHING.some((one) => one.name === name))
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: there is no such figure`)
  const chosen = ({ name, onDemand = false }: { name: string; onDemand?: boolean }) =>
    all || (only.length === 0 ? !onDemand : only.includes(name))
  return {
    help,
    rounds: within('rounds', rounds, 20),
    seconds: within('seconds', seconds, 10),
    figures: FIGURES.filter(chosen),
    comparisons: COMPARISONS.filter(chosen),
  }
}

function parsed() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        all: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true, default: [] },
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '2' },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** Bounded, so that a round of all figures ends before the tokens that it uses expire. */
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
