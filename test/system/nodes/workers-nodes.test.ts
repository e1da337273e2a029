import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { bothWorkers, type Connection, loginOn, person } from '../../support/connections.ts'
import { postgresUrl } from '../../support/postgres.ts'
import { sharedSettings, twoNodes } from '../../support/service.ts'
import { summary } from './measure.ts'

// Two servers of two workers each on PostgreSQL: what one of the four takes back, all of them refuse.

const EMAIL = 'ada@example.com'
const EACH = 4

t.test('a logout on any worker of two servers', async (t) => {
  const env = await sharedSettings(t, { DATABASE_URL: await postgresUrl(t), WORKERS: '2' })
  const [here, there] = await twoNodes(t, env)
  const sides = [await bothWorkers(t, here), await bothWorkers(t, there)] as const
  await person(sides[0][0], EMAIL)
  const delays: number[] = []
  for (let i = 0; i < EACH; i += 1) {
    const [near, far] = i % 2 === 0 ? sides : [sides[1], sides[0]]
    const [on, beside] = i < 2 ? near : [near[1], near[0]]
    const { access } = await loginOn(far[0], EMAIL)
    for (const worker of [...near, ...far]) t.equal(await statusOn(worker, access), 200)
    t.equal((await on.ask('POST', '/v1/logout', {}, access)).status, 204)
    const acknowledged = performance.now()
    t.equal(await statusOn(beside, access), 401, 'the worker beside it was told before the answer')
    for (const worker of far) while ((await statusOn(worker, access)) === 200) await pause(5)
    delays.push(performance.now() - acknowledged)
    for (const worker of [...near, ...far]) t.equal(await statusOn(worker, access), 401, 'and it stays so')
  }
  t.comment(`${t.name}: ${summary(delays)}`)
})

async function statusOn({ ask }: Connection, token: string): Promise<number> {
  return (await ask('GET', '/v1/me', undefined, token)).status
}
