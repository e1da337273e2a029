import t, { type Test } from 'tap'
import { clockFailure } from '../../../scripts/lab/failures/clock.ts'
import { diskFailure } from '../../../scripts/lab/failures/disk.ts'
import { drainFailure } from '../../../scripts/lab/failures/drain.ts'
import { type Failure, type Run, Unavailable } from '../../../scripts/lab/failures/failure.ts'
import { memoryFailure } from '../../../scripts/lab/failures/memory.ts'
import { rollingFailure } from '../../../scripts/lab/failures/rolling.ts'
import { temporaryFolder } from '../../support/app.ts'
import { postgresUrl, startPostgres, stopPostgres } from '../../support/postgres.ts'
import { giveKeys, SERVER_PRELOADS } from '../../support/service.ts'

// The short form of `npm run failures`. What it does with kill -9, with a store that is gone and with a broken keyring
// stands in crash.test.ts, store-down.test.ts and test/system/keys/live.test.ts.

const SHORT: [failure: Failure, times: number, seconds: number][] = [
  [drainFailure, 1, 1],
  [rollingFailure, 1, 1],
  [diskFailure, 1, 1],
  [clockFailure, 1, 0],
  [memoryFailure, 1, 1],
]

for (const [{ title, run }, times, seconds] of SHORT) {
  t.test(title, async (t) => {
    try {
      const { figures, faults } = await run(await shortRun(t, times, seconds))
      t.comment(figures)
      t.same(faults, [])
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      t.pass('left out', { skip: error.message })
    }
  })
}

async function prepare(keysDir: string): Promise<string> {
  await giveKeys(keysDir)
  return SERVER_PRELOADS.map((file) => `--import ${file}`).join(' ')
}

async function shortRun(t: Test, times: number, seconds: number): Promise<Run> {
  const create = () => postgresUrl(t)
  const postgres = async () => ({ create, stop: stopPostgres, start: startPostgres, end: () => undefined })
  return { folder: await temporaryFolder(t), times, seconds, pause: 160, postgres, prepare }
}
