import t from 'tap'
import { bothWorkers, type Connection, connectionTo, loginOn, person, type Reply } from '../../support/connections.ts'
import { startServer } from '../../support/service.ts'

// A page that makes many calls at once, over HTTP, to a server with two workers and the quota of production.

const EMAIL = 'ada@example.com'
const QUOTA = 60 // the default
const AT_ONCE = [8, 30]
const server = await startServer(t, { WORKERS: '2', RATE_LIMIT_REFRESH_PER_SESSION: String(QUOTA) })
const workers = await bothWorkers(t, server)
await person(workers[0], EMAIL)

/** Requests of one connection wait for each other, so each has its own. */
const connections: Connection[] = [...workers]
while (connections.length < Math.max(...AT_ONCE))
  connections.push(await connectionTo(t, server, (workers[connections.length % 2] as Connection).process))

const show = (n: number, refresh: string) =>
  (connections[n % connections.length] as Connection).ask('POST', '/v1/refresh', { refresh_token: refresh })
const tokenOf = ({ status, body }: Reply): string => {
  if (status !== 200) throw new Error(`${status}: ${JSON.stringify(body)}`)
  return String(body.refresh_token)
}
const times = <T>(count: number, each: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, n) => each(n)))

for (const count of AT_ONCE)
  t.test(`${count} refreshes of one token at once give one successor`, async (t) => {
    const { refresh } = await loginOn(workers[0], EMAIL)
    const replies = await times(count, (n) => show(n, refresh))
    t.equal(new Set(replies.map(tokenOf)).size, 1)
    t.equal((await show(1, tokenOf(replies[0] as Reply))).status, 200, 'and the session goes on')
  })

t.test('R0 gives R1, R1 gives R2, and whoever then shows R0 or R1 gets R2', async (t) => {
  const { refresh } = await loginOn(workers[0], EMAIL)
  const second = tokenOf(await show(0, refresh))
  const third = tokenOf(await show(1, second))
  for (const n of [0, 1]) for (const older of [refresh, second]) t.equal(tokenOf(await show(n, older)), third)
  t.equal((await show(0, third)).status, 200)
})

for (const count of AT_ONCE)
  t.test(`${count} at once that overtake each other get 200, or 429 above the quota, and never 401`, async (t) => {
    const { access, refresh } = await loginOn(workers[0], EMAIL)
    const known = [refresh]
    const statuses: number[] = []
    await times(count, async (n) => {
      for (let call = 0; call < 3; call += 1) {
        const newest = known.at(-1) as string
        const reply = await show(n, n % 2 === 0 ? newest : (known[n % known.length] as string))
        statuses.push(reply.status)
        if (reply.status === 200) known.push(tokenOf(reply))
        else t.equal(reply.body.code, 'too_many_requests')
      }
    })
    t.equal(statuses.includes(429), 3 * count > QUOTA, `of ${statuses.length}`)
    t.ok(new Set(known).size > 2, `${new Set(known).size} tokens: some were overtaken`)
    t.equal((await workers[1].ask('GET', '/v1/me', undefined, access)).status, 200, 'the session lives')
  })
