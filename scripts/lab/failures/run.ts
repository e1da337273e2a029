import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { OperatorError } from '../../../src/errors/app-error.ts'
import { makeRunFolder } from '../run-folder.ts'
import { clockFailure } from './clock.ts'
import { diskFailure } from './disk.ts'
import { drainFailure } from './drain.ts'
import { type Failure, type Run, Unavailable } from './failure.ts'
import { keyringFailure } from './keyring.ts'
import { killFailure } from './kill.ts'
import { memoryFailure } from './memory.ts'
import { messagesFailure } from './messages.ts'
import { type Postgres, startPostgres } from './postgres.ts'
import { rollingFailure } from './rolling.ts'
import { storeFailure } from './store.ts'

// npm run failures: causes failures of production in real processes. One line per failure; exits 1 when one of them did
// harm.

const FAILURES: Readonly<Record<string, Failure>> = {
  kill: killFailure,
  store: storeFailure,
  disk: diskFailure,
  keyring: keyringFailure,
  memory: memoryFailure,
  rolling: rollingFailure,
  messages: messagesFailure,
  drain: drainFailure,
  clock: clockFailure,
}
const USAGE = `npm run failures -- [--only ${Object.keys(FAILURES).join('|')}] [--times N] [--seconds N]`

const { only, times, seconds } = options()
const folder = makeRunFolder('failures')

let postgres: Promise<Postgres> | undefined
const run: Run = {
  folder,
  times,
  seconds,
  postgres: () => {
    postgres ??= startPostgres()
    return postgres
  },
}

let harmed = false
for (const [name, failure] of Object.entries(FAILURES)) {
  if (name === 'memory' && (only ?? name) === name) printSizes()
  if (only === undefined || only === name) harmed = (await perform(name, failure)) || harmed
}
;(await postgres)?.end()
process.exitCode = harmed ? 1 : 0

function printSizes(): void {
  console.log('what bounded structures weigh when they are full')
  const args = ['--expose-gc', '--import', './src/require-node.js', 'scripts/lab/failures/sizes.ts']
  execFileSync(process.execPath, args, { stdio: 'inherit' })
}

/** @returns true when it did harm */
async function perform(name: string, { title, run: cause }: Failure): Promise<boolean> {
  console.log(`${name}: ${title}`)
  const started = performance.now()
  const took = () => `${Math.round((performance.now() - started) / 1000)} s`
  try {
    const { figures, faults } = await cause(run)
    console.log(`  ${figures}`)
    for (const fault of faults) console.log(`  FAULT: ${fault}`)
    console.log(`  ${faults.length === 0 ? 'pass' : 'FAIL'} (${took()})`)
    return faults.length > 0
  } catch (error) {
    if (error instanceof Unavailable) {
      console.log(`  left out: ${error.message}`)
      return false
    }
    console.log(`  FAIL (${took()}): ${error instanceof OperatorError ? error.message : (error as Error).stack}`)
    return true
  }
}

function options(): { only: string | undefined; times: number; seconds: number } {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      times: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '30' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const number = (text: string) => (/^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined)
  const parsed = { times: number(values.times), seconds: number(values.seconds) }
  const known = values.only === undefined || Object.hasOwn(FAILURES, values.only)
  if (values.help || !known || parsed.times === undefined || parsed.seconds === undefined) {
    console.log(USAGE)
    process.exit(values.help ? 0 : 2)
  }
  return { only: values.only, times: parsed.times, seconds: parsed.seconds }
}
