import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { administer, postgresUrl } from '../../support/postgres.ts'
import {
  login,
  logout,
  register,
  type ServerProcess,
  sharedSettings,
  twoNodes,
  verdict,
} from '../../support/service.ts'
import { measureRevocations } from './measure.ts'

// What is revoked on one node is refused on the other, about a second later at the most. Notifications are the fast
// way; polling by number is what must never fail: here the fast way is also taken away.

const EACH = 2
const nameOf = (url: string) => new URL(url).pathname.slice(1)

t.test('two servers on one SQLite file', async (t) => {
  const nodes = await twoNodes(t, await sharedSettings(t))
  await measureRevocations(t, nodes, EACH, 1)
  await missesNothingWhilePaused(t, nodes)
})

t.test('two servers on PostgreSQL', async (t) => {
  const url = await postgresUrl(t)
  const client = new Client({ connectionString: url, ssl: false })
  let notifications = 0
  client.on('notification', () => {
    notifications += 1
  })
  await client.connect()
  await client.query('LISTEN signet_revocations')
  const nodes = await twoNodes(t, await sharedSettings(t, { DATABASE_URL: url }))
  await measureRevocations(t, nodes, EACH, 1)
  t.ok(notifications >= 3 * EACH, `${notifications} notifications were sent`)
  await client.end()

  await missesNothingWhilePaused(t, nodes)
  await t.test('whose listening connections are cut again and again', async (t) => {
    const cutting = { on: true, cut: 0 }
    const cutter = cutListeners(url, cutting)
    await measureRevocations(t, nodes, EACH, 1)
    cutting.on = false
    await cutter
    t.ok(cutting.cut >= 10, `${cutting.cut} connections were cut`)
    while ((await administer(`SELECT pid ${LISTENERS}`, nameOf(url))).length < 2) await pause(50)
    t.pass('both listen again')
  })
})

t.test('two servers on PostgreSQL that never get a notification', async (t) => {
  const url = await postgresUrl(t)
  // A function that does nothing stands in the place of pg_notify, for every connection from now on.
  const nothing = "CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'"
  await administer(nothing, nameOf(url))
  await administer(`ALTER DATABASE ${nameOf(url)} SET search_path = public, pg_catalog`)

  const client = new Client({ connectionString: url, ssl: false })
  client.on('notification', () => t.fail('there was a notification'))
  await client.connect()
  await client.query('LISTEN signet_revocations')
  await measureRevocations(t, await twoNodes(t, await sharedSettings(t, { DATABASE_URL: url })), EACH, 1)
  await client.end()
})

async function missesNothingWhilePaused(t: Test, [on, paused]: [ServerProcess, ServerProcess]): Promise<void> {
  await t.test('a node that was paused while others revoked misses none of it', async (t) => {
    await register(on, 'ada@example.com')
    const sessions = [await login(on, 'ada@example.com'), await login(on, 'ada@example.com')]
    for (const tokens of sessions) t.equal(await verdict(paused, tokens), 200)
    paused.child.kill('SIGSTOP')
    for (const tokens of sessions) await logout(on, tokens)
    const late = login(paused, 'ada@example.com')
    paused.child.kill('SIGCONT')
    for (const tokens of sessions) while ((await verdict(paused, tokens)) === 200) await pause(5)
    for (const tokens of sessions) t.equal(await verdict(paused, tokens), 'invalid_token')
    t.equal(await verdict(on, await late), 200, 'and what waited for it is answered')
  })
}

// After 15 seconds, which a busy machine needs to get there, their last statement is the one that tests the connection.
const LISTENERS =
  "FROM pg_stat_activity WHERE (query LIKE 'LISTEN %' OR query = 'SELECT 1') AND state = 'idle' " +
  'AND datname = current_database()'

async function cutListeners(url: string, cutting: { on: boolean; cut: number }): Promise<void> {
  const client = new Client({ connectionString: url, ssl: false })
  await client.connect()
  while (cutting.on) {
    cutting.cut += (await client.query(`SELECT pg_terminate_backend(pid) ${LISTENERS}`)).rows.length
    await pause(20)
  }
  await client.end()
}
