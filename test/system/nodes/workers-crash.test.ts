import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  bothWorkers,
  type Connection,
  connection,
  connectionTo,
  isAlive,
  loginOn,
  person,
  workersOf,
} from '../../support/connections.ts'
import { openNode } from '../../support/engines.ts'
import { partOf, type ServerProcess, said, sharedSettings, startServer } from '../../support/service.ts'
import { halfSent, portIsFree } from './half-sent.ts'

// A worker is killed in the middle of refreshes and registrations. It is replaced, the other one goes on, and what
// was acknowledged is there.

const CLIENTS = 8
/** Acknowledged refreshes before and after the kill. */
const STORM = 40

interface Client {
  readonly sid: string
  on: Connection
  refresh: string
  rotations: number
  cuts: number
}

// On SQLite, where the worker that is killed holds the file itself. What a process that dies leaves behind on each
// engine: crash.test.ts.
const env = await sharedSettings(t, { REFRESH_GRACE: '60', WORKERS: '2' })
const server = await startServer(t, env)

t.test('kill -9 of a worker under load', async (t) => {
  const clients = await loggedIn(t, server)
  const victim = workersOf(server)[0] as number
  const registered = await storm(t, server, clients, () => process.kill(victim, 'SIGKILL'))

  t.ok(clients.some(({ cuts }) => cuts > 0) && clients.some(({ cuts }) => cuts === 0), 'some were cut, others not')
  while (workersOf(server).length < 3) await pause(20)
  const [, survivor = 0, replacement = 0] = workersOf(server)
  t.notOk(isAlive(victim))
  t.ok(isAlive(survivor) && isAlive(replacement))
  t.match(server.output(), new RegExp(`"worker":${victim},"code":null,"signal":"SIGKILL"`))
  await bothWorkers(t, server)
  await checkRows(t, env, clients, registered)
})

t.test('a second signal ends all of them at once, exit 1', async (t) => {
  await halfSent(server)
  await connection(t, server)
  server.child.kill('SIGTERM')
  await said(server, 'requests in flight')
  server.child.kill('SIGTERM')
  t.match(await server.finished, { code: 1 })
  t.notMatch(server.output(), 'killed by timeout', 'it was the signal')
  await portIsFree(server)
  while (workersOf(server).some(isAlive)) await pause(20)
  t.pass('no worker is left')
})

async function loggedIn(t: Test, server: ServerProcess): Promise<Client[]> {
  const [one, other] = await bothWorkers(t, server)
  await person(one, 'ada@example.com')
  const clients: Client[] = []
  for (let i = 0; i < CLIENTS; i += 1) {
    const on = i % 2 === 0 ? one : other
    const { access, refresh } = await loginOn(on, 'ada@example.com')
    clients.push({
      sid: partOf(access, 1).sid,
      refresh,
      on: await connectionTo(t, server, on.process),
      rotations: 0,
      cuts: 0,
    })
  }
  return clients
}

/**
 * All refresh as fast as they are answered, and people register. @returns the ids of those who were told that they
 * are in
 */
async function storm(t: Test, server: ServerProcess, clients: Client[], halfway: () => void): Promise<string[]> {
  let acknowledged = 0
  let killed = false
  const registered: string[] = []
  // The kill is over when somebody has felt it: four of the eight are on the worker that is killed.
  const goesOn = () => acknowledged < 2 * STORM || clients.every(({ cuts }) => cuts === 0)
  const refreshing = async (client: Client) => {
    let unanswered = false // it may have been done: who was cut off asks again
    while (goesOn() || unanswered) {
      const reply = await client.on.ask('POST', '/v1/refresh', { refresh_token: client.refresh }).catch(() => undefined)
      unanswered = reply === undefined
      if (reply === undefined) {
        client.cuts += 1
        client.on = await connection(t, server)
        continue
      }
      if (reply.status !== 200) throw new Error(JSON.stringify(reply))
      Object.assign(client, { refresh: reply.body.refresh_token, rotations: client.rotations + 1 })
      acknowledged += 1
      if (acknowledged >= STORM && !killed) {
        killed = true
        halfway()
      }
    }
  }
  const registering = async () => {
    for (let i = 0; goesOn(); i += 1) {
      const on = await connection(t, server).catch(() => undefined)
      const body = { email: `${i}@example.com`, password: `the long password number ${i}` }
      const reply = await on?.ask('POST', '/v1/accounts', body).catch(() => undefined)
      if (reply?.status === 201) registered.push(String(reply.body.id))
    }
  }
  await Promise.all([...clients.map(refreshing), registering()])
  return registered
}

async function checkRows(t: Test, env: Record<string, string>, clients: readonly Client[], registered: string[]) {
  const database = await openNode(t, String(env.DATABASE_URL))
  const sessions = await database.query('SELECT id, counter, ended_at FROM sessions')
  for (const { sid, rotations } of clients) {
    const row = sessions.find(({ id }) => id === sid)
    // A refresh that was cut off is asked for again, and gets the successor that was made: acknowledged once, counted
    // once.
    t.match(
      row,
      { counter: rotations, ended_at: null },
      'every acknowledged rotation, no other, and nobody is logged out',
    )
  }
  const ids = new Set((await database.query('SELECT id FROM accounts')).map(({ id }) => id))
  t.ok(registered.length > 0 && registered.every((id) => ids.has(id)), `${registered.length} registrations`)
  t.comment(`${clients.reduce((sum, { cuts }) => sum + cuts, 0)} connections were cut`)
  await database.close()
}
