import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { UsageError } from '../../cli/command-line.ts'
import { createStage } from './stage.ts'
import type { Target, Trial } from './target.ts'
import { TARGETS } from './targets.ts'

/** How many cases run before the target is checked to be still working. */
const ROUND = 100

const HELP = `Usage: npm run fuzz -- [--minutes <n>] [--seed <n>] [--only <target>]...

Attacks Signet with generated input: never a 500, always an error in the promised form, nothing hostile accepted, nothing of the
input repeated, and a good request passes afterwards. The first case that breaks one of these is made small, printed, and ends the run.

Options
  --minutes <n>    how long, over all targets together, 0.1..10000 (1)
  --seed <n>       the seed of the first round of each target; a failure prints the one that repeats it
  --only <target>  one of ${TARGETS.map(({ name }) => name).join(', ')}; may be repeated

Examples
  npm run -s fuzz -- --minutes 10
  npm run -s fuzz -- --only guard --seed 42`

const print = (text: string) => void process.stdout.write(`${text}\n`)

let died: unknown
for (const event of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(event, (error) => {
    died ??= error
  })

try {
  process.exitCode = await main()
} catch (error) {
  const hint = error instanceof UsageError ? '\nhint: npm run fuzz -- --help' : ''
  process.stderr.write(
    `fuzz: error: ${error instanceof UsageError ? error.message : ((error as Error).stack ?? error)}${hint}\n`,
  )
  process.exitCode = error instanceof UsageError ? 2 : 1
}

async function main(): Promise<number> {
  const { help, minutes, seed, targets } = options()
  if (help) {
    print(HELP)
    return 0
  }
  print(`seed ${seed}`)
  const share = (minutes * 60_000) / targets.length
  for (const target of targets) {
    const failure = await attack(target, seed, share)
    if (failure === undefined) continue
    print(`${target.name}: FAILED\n${failure}`)
    return 1
  }
  return 0
}

/** @returns what failed, or undefined when the time is over and nothing did */
async function attack({ name, prepare }: Target, firstSeed: number, milliseconds: number): Promise<string | undefined> {
  const stage = createStage()
  try {
    const trial = await prepare(stage)
    const deadline = performance.now() + milliseconds
    let cases = 0
    let seed = firstSeed
    do {
      const failure = await round(trial, seed)
      if (failure !== undefined) return `${failure}\nrepeat it with: npm run fuzz -- --only ${name} --seed ${seed}`
      cases += ROUND
      seed = (seed + 1) | 0
    } while (performance.now() < deadline)
    print(`${name}: ${cases} cases held, seeds ${firstSeed}..${seed - 1}`)
    return undefined
  } finally {
    await stage.end()
  }
}

async function round({ property, wellbeing }: Trial, seed: number): Promise<string | undefined> {
  const details = await fc.check(property as fc.IAsyncProperty<unknown>, { seed, numRuns: ROUND, timeout: 30_000 })
  if (details.failed) return `${(details.errorInstance as Error)?.message}\n${fc.defaultReportMessage(details)}`
  try {
    await wellbeing()
  } catch (error) {
    return `after the cases of seed ${seed}: ${(error as Error).stack}`
  }
  return died === undefined ? undefined : `the process would have died: ${(died as Error).stack ?? died}`
}

function options() {
  const { help, minutes, seed, only } = parsed()
  const unknown = only.find((name) => !TARGETS.some((target) => target.name === name))
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: there is no such target`)
  const duration = Number(minutes)
  if (!(duration >= 0.1 && duration <= 10_000)) throw new UsageError('--minutes takes a number, 0.1..10000')
  if (seed !== undefined && !/^-?\d{1,10}$/.test(seed)) throw new UsageError('--seed takes a whole number')
  return {
    help,
    minutes: duration,
    seed: seed === undefined ? randomInt(2 ** 31) : Number(seed) | 0,
    targets: TARGETS.filter(({ name }) => only.length === 0 || only.includes(name)),
  }
}

function parsed() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        minutes: { type: 'string', default: '1' },
        seed: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
