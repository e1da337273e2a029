import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { UsageError } from '../../cli/command-line.ts'
import { BROWSERS, type BrowserName } from './browsers/browser.ts'
import { FAULTS } from './browsers/faults.ts'
import { type Row, tryBrowser } from './browsers/run.ts'
import { STATES } from './browsers/trial.ts'
import { simulate } from './simulated/run.ts'

const HELP = `Usage: npm run client-lab -- [--only <part>]... [--tabs <n>] [--fault <text>] [--refreshes <n>]
                                 [--seed <n>]

Shows that nobody is logged out by accident: signet-client in many tabs of real browsers, and on many simulated
devices, while everything goes wrong that does go wrong. Exits with 1 when a promise was broken.

Options
  --only <part>     ${[...BROWSERS, 'node'].join(', ')}; may be repeated. A browser that is not installed is left out
  --tabs <n>        tabs of each browser, 1..50 (20)
  --fault <text>    only the faults whose name contains this text
  --refreshes <n>   how many refreshes of simulated devices, 100..10000000 (100000)
  --devices <n>     how many simulated devices, 1..5000 (200)
  --seed <n>        repeats the choices of a run of the devices

Examples
  npm run -s client-lab -- --only chromium --tabs 5 --fault clock
  npm run -s client-lab -- --only node --refreshes 5000 --seed 15`

const print = (text: string) => void process.stdout.write(`${text}\n`)

// An exit ends the browsers and the servers too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130))

try {
  process.exitCode = await main()
} catch (error) {
  const isUsage = error instanceof UsageError
  const text = isUsage ? `${error.message}\nhint: npm run client-lab -- --help` : (error as Error).stack
  process.stderr.write(`client-lab: error: ${text}\n`)
  process.exitCode = isUsage ? 2 : 1
}
process.exit() // a browser that hangs must not keep the run

async function main(): Promise<number> {
  const { help, only, ...plan } = options()
  if (help) {
    print(HELP)
    return 0
  }
  const wants = (part: string) => only.length === 0 || only.includes(part)
  const faults: string[] = []
  for (const name of BROWSERS) if (wants(name)) faults.push(...(await browser(name, plan)))
  if (wants('node')) faults.push(...(await devices(plan)))
  for (const fault of faults) print(`FAULT: ${fault}`)
  print(faults.length === 0 ? 'pass' : 'FAIL')
  return faults.length === 0 ? 0 : 1
}

type Plan = Omit<ReturnType<typeof options>, 'help' | 'only'>

async function browser(name: BrowserName, { tabs, fault }: Plan): Promise<readonly string[]> {
  print(`\n${name}, ${tabs} tabs: during the fault → after it, refreshes that arrived / were asked for`)
  print(line(['fault', ...STATES]))
  const faults = FAULTS.filter((one) => one.name.includes(fault))
  const tried = await tryBrowser(name, { tabs, faults }, (row) => {
    print(line([row.fault, ...cells(row)]))
    for (const note of notes(row)) print(`  (${note})`)
    for (const { faults } of row.outcomes) for (const one of faults) print(`  FAULT: ${one}`)
  })
  if ('leftOut' in tried) {
    print(`left out: ${tried.leftOut}`)
    return []
  }
  const trials = tried.rows.length * STATES.length
  print(`${tried.version}: ${trials} trials, ${trials * tabs} tabs, ${sums(tried.rows)}, ${tried.faults.length} faults`)
  return tried.faults
}

function cells({ outcomes }: Row): string[] {
  return outcomes.map(({ during, after, arrived, asked, faults }) => {
    const states = during === after ? after : `${during} → ${after}`
    return `${faults.length ? 'FAULT ' : ''}${states} ${arrived}/${asked}`
  })
}

function sums(rows: readonly Row[]): string {
  const all = rows.flatMap(({ outcomes }) => outcomes)
  const sum = (of: 'asked' | 'arrived' | 'lostWithPages') => all.reduce((total, one) => total + one[of], 0)
  const lost = `${sum('lostWithPages')} more were lost with their pages`
  return `${sum('asked')} refreshes were asked for, ${sum('arrived')} arrived, ${lost}`
}

/** What the numbers of a row do not tell by themselves. */
function notes({ because, outcomes }: Row): string[] {
  const lost = outcomes.reduce((sum, { lostWithPages }) => sum + lostWithPages, 0)
  return [
    ...(because && outcomes.some(({ arrived }) => arrived > 1) ? [`2: ${because}`] : []),
    ...(lost > 0 ? [`${lost} more came to a page that was loaded again before it could tell the others`] : []),
  ]
}

function line([name = '', ...others]: readonly string[]): string {
  return `${name.padEnd(42)}${others.map((text) => `${text.padEnd(26)} `).join('')}`.trimEnd()
}

async function devices({ refreshes, devices, seed }: Plan): Promise<readonly string[]> {
  print(`\nNode ${process.versions.node}, ${devices} devices, seed ${seed}`)
  const done = await simulate({ refreshes, devices, seed })
  const tally = [...done.tally].sort().map(([what, count]) => `  ${String(count).padStart(7)}  ${what}`)
  print(tally.join('\n'))
  const faults = done.faults.length
  print(`${done.refreshes} refreshes in ${done.rounds} rounds, ${done.hours} hours of their time, ${faults} faults`)
  return done.faults
}

function options() {
  const { help, only, tabs, fault, refreshes, devices, seed } = parsed()
  const parts = [...BROWSERS, 'node']
  const unknown = only.find((part) => !parts.includes(part))
  if (unknown !== undefined) throw new UsageError(`--only ${unknown}: there is no such part`)
  if (!FAULTS.some(({ name }) => name.includes(fault))) throw new UsageError(`--fault ${fault}: no fault has this name`)
  return {
    help,
    only,
    fault,
    tabs: whole('tabs', tabs, 1, 50),
    refreshes: whole('refreshes', refreshes, 100, 10_000_000),
    devices: whole('devices', devices, 1, 5000),
    seed: seed === undefined ? randomInt(2 ** 31) : whole('seed', seed, 0, 2 ** 31),
  }
}

function whole(name: string, text: string, least: number, most: number): number {
  const number = Number(text)
  if (!/^\d{1,10}$/.test(text) || number < least || number > most)
    throw new UsageError(`--${name} takes a whole number, ${least}..${most}`)
  return number
}

function parsed() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        only: { type: 'string', multiple: true, default: [] },
        tabs: { type: 'string', default: '20' },
        fault: { type: 'string', default: '' },
        refreshes: { type: 'string', default: '100000' },
        devices: { type: 'string', default: '200' },
        seed: { type: 'string' },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}
