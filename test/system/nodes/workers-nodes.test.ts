import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  bothWorkers,
  type Connection,
  connection,
  isAlive,
  loginOn,
  person,
  workersOf,
} from '../../support/connections.ts'
import { postgresUrl } from '../../support/postgres.ts'
import { type ServerProcess, sharedSettings, startServer } from '../../support/service.ts'
import { halfSent, portIsFree } from './half-sent.ts'
import { summary } from './measure.ts'

// Two servers on PostgreSQL, one of them with two workers: what one of the three takes back, all of them refuse.

const EMAIL = 'ada@example.com'
const ROUNDS = 2

t.test('two servers on PostgreSQL, one of them with two workers', async (t) => {
  const env = await sharedSettings(t, { DATABASE_URL: await postgresUrl(t) })
  const [several, alone] = await Promise.all([startServer(t, { ...env, WORKERS: '2' }), startServer(t, env)])
  await t.test('a logout on any worker of two servers', (t) => logouts(t, several, alone))
  await t.test('kill -9 of a primary leaves nobody behind, and the port is free', (t) => killedPrimary(t, several))
})

async function logouts(t: Test, several: ServerProcess, alone: ServerProcess): Promise<void> {
  const [one, other] = await bothWorkers(t, several)
  const far = await connection(t, alone)
  await person(one, EMAIL)
  const all = [one, other, far]
  /** Who is asked to log out, and who knows of it before that is answered. */
  const WAYS: [on: Connection, told: Connection[]][] = [
    [one, [other]],
    [other, [one]],
    [far, []],
  ]
  const delays: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [on, told] of WAYS) {
      const { access } = await loginOn(on === far ? one : far, EMAIL)
      for (const process of all) t.equal(await statusOn(process, access), 200)
      t.equal((await on.ask('POST', '/v1/logout', {}, access)).status, 204)
      const acknowledged = performance.now()
      for (const process of told) t.equal(await statusOn(process, access), 401, 'told before the answer')
      for (const process of all) while ((await statusOn(process, access)) === 200) await pause(5)
      delays.push(performance.now() - acknowledged)
      for (const process of all) t.equal(await statusOn(process, access), 401, 'and it stays so')
    }
  }
  t.comment(`${t.name}: ${summary(delays)}`)
}

async function killedPrimary(t: Test, several: ServerProcess): Promise<void> {
  await halfSent(several)
  process.kill(Number(several.child.pid), 'SIGKILL')
  await portIsFree(several)
  while (workersOf(several).some(isAlive)) await pause(20)
  t.match(await several.finished, { signal: 'SIGKILL' })
}

async function statusOn({ ask }: Connection, token: string): Promise<number> {
  return (await ask('GET', '/v1/me', undefined, token)).status
}
