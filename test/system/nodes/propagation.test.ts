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
import { acceptsNothingAfterPause } from './stood-still.ts'

// What is revoked on one node is refused on the other, about a second later at the most. Notifications are the fast
// way; polling by number is what must never fail: here the fast way is also taken away.

const EACH = 2
const STOOD_STILL = 'one of which stood still: it accepts nothing that was withdrawn meanwhile'
const nameOf = (url: string) => new URL(url).pathname.slice(1)

t.test('two servers on one SQLite file', async (t) => {
  const nodes = await twoNodes(t, await sharedSettings(t))
  await measureRevocations(t, nodes, EACH, 1)
  await missesNothingWhilePaused(t, nodes)
  await t.test(STOOD_STILL, (t) => acceptsNothingAfterPause(t, nodes))
})

t.test('two servers on PostgreSQL', async (t) => {
  const url = await postgresUrl(t)
  const heard = await listen(url)
  const nodes = await twoNodes(t, await sharedSettings(t, { DATABASE_URL: url }))
  await measureRevocations(t, nodes, EACH, 1)
  t.ok(heard.notifications >= 3 * EACH, `${heard.notifications} notifications were sent`)
  await heard.end()

  await missesNothingWhilePaused(t, nodes)
  await t.test('whose listening connections are cut again and again', async (t) => {
    const cutting = { on: true, cut: 0 }
    const cutter = cutListeners(url, cutting)
    await measureRevocations(t, nodes, EACH, 1)
    cutting.on = false
    await cutter
    t.ok(cutting.cut >= 10, `${cutting.cut} connections were cut`)
    await bothListen(url)
    t.pass('both listen again')
  })
  await t.test(STOOD_STILL, (t) => acceptsNothingAfterPause(t, nodes))
  await t.test('that never get a notification', async (t) => {
    await silence(url)
    const silent = await listen(url)
    await measureRevocations(t, nodes, EACH, 1)
    t.equal(silent.notifications, 0)
    await silent.end()
  })
})

/** Hears the notifications that the servers hear. */
async function listen(url: string) {
  const client = new Client({ connectionString: url, ssl: false })
  const heard = { notifications: 0, end: () => client.end() }
  client.on('notification', () => {
    heard.notifications += 1
  })
  await client.connect()
  await client.query('LISTEN signet_revocations')
  return heard
}

/** From now on a function that does nothing stands in the place of pg_notify, for every connection. */
async function silence(url: string): Promise<void> {
  const name = nameOf(url)
  await administer("CREATE FUNCTION public.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT'", name)
  await administer(`ALTER DATABASE ${name} SET search_path = public, pg_catalog`)
  const others = 'FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()'
  const ended = (await administer(`SELECT pid, pg_terminate_backend(pid) ${others}`, name)).map(({ pid }) => pid)
  while ((await administer(`SELECT pid ${others} AND pid IN (${ended})`, name)).length > 0) await pause(20)
  await bothListen(url)
}

async function bothListen(url: string): Promise<void> {
  while ((await administer(`SELECT pid ${LISTENERS}`, nameOf(url))).length < 2) await pause(50)
}

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
