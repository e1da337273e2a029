import t, { type Test } from 'tap'
import type { Row } from '../../../src/db/database.ts'
import { ENGINES, openNode } from '../../support/engines.ts'
import {
  login,
  logout,
  partOf,
  postRefresh,
  register,
  type ServerProcess,
  sharedSettings,
  startServer,
  type Tokens,
  tokensOf,
  verdict,
} from '../../support/service.ts'

// A node is killed in the middle of a refresh storm. What it acknowledged must be there when it comes back, and a
// client that was not answered asks again with the token it has.

const CLIENTS = 8
/** Acknowledged refreshes before the kill. */
const STORM = 80

interface Storming {
  readonly sid: string
  /** The last pair that was acknowledged. */
  tokens: Tokens
  /** How many rotations were acknowledged. */
  rotations: number
}

for (const engine of ENGINES) {
  t.test(
    `kill -9 during a refresh storm loses no acknowledged rotation and logs nobody out (${engine.name})`,
    async (t) => {
      const env = await sharedSettings(t, { DATABASE_URL: await engine.url(t), REFRESH_GRACE: '60' })
      const node = await startServer(t, env)
      const clients = await loggedIn(node, CLIENTS)
      const gone = await loggedIn(node, 1)
      await storm(node, clients, async () => {
        for (const { tokens } of gone) await logout(node, tokens)
      })
      t.match(await node.finished, { signal: 'SIGKILL' })
      await checkRows(t, env, clients, gone)

      const again = await startServer(t, env)
      for (const client of clients) await goOn(t, again, client)
      for (const { tokens } of gone) {
        t.equal(await verdict(again, tokens), 'invalid_token', 'what was ended stays ended')
        t.equal((await postRefresh(again, tokens)).status, 401)
      }
      t.comment(`${clients.reduce((sum, { rotations }) => sum + rotations, 0)} acknowledged rotations`)
    },
  )
}

async function loggedIn(node: ServerProcess, count: number): Promise<Storming[]> {
  const email = `${count}-${Math.random()}@example.com`
  await register(node, email)
  const all: Storming[] = []
  for (let i = 0; i < count; i += 1) {
    const tokens = await login(node, email)
    all.push({ sid: partOf(tokens.access, 1).sid, tokens, rotations: 0 })
  }
  return all
}

/** Every client refreshes as fast as it is answered; in the middle of it the node is killed. */
async function storm(node: ServerProcess, clients: Storming[], halfway: () => Promise<void>): Promise<void> {
  let acknowledged = 0
  let leaving: Promise<void> | undefined
  const one = async (client: Storming) => {
    for (;;) {
      const reply = await postRefresh(node, client.tokens).catch(() => undefined)
      if (reply !== undefined && reply.status !== 200) throw new Error(`${reply.status}: ${await reply.text()}`)
      const pair = reply && (await tokensOf(reply).catch(() => undefined))
      if (pair === undefined) return // the connection was cut: nothing was acknowledged
      Object.assign(client, { tokens: pair, rotations: client.rotations + 1 })
      acknowledged += 1
      if (acknowledged >= STORM / 2) leaving ??= halfway()
      if (acknowledged === STORM) {
        await leaving
        node.child.kill('SIGKILL')
      }
    }
  }
  await Promise.all(clients.map(one))
}

/** The rows as the next process finds them. */
async function checkRows(
  t: Test,
  env: Record<string, string>,
  clients: readonly Storming[],
  gone: readonly Storming[],
): Promise<void> {
  const database = await openNode(t, String(env.DATABASE_URL))
  const rows = await database.query('SELECT id, counter, ended_at FROM sessions')
  const row = (sid: string): Row | undefined => rows.find(({ id }) => id === sid)
  const ahead = clients.map(({ sid, rotations }) => Number(row(sid)?.counter) - rotations)
  t.ok(
    ahead.every((one) => one === 0 || one === 1),
    'every acknowledged rotation is there, and at most one more',
  )
  t.comment(`${ahead.filter((one) => one === 1).length} rotations were committed and not answered`)
  t.same(
    clients.filter(({ sid }) => row(sid)?.ended_at !== null),
    [],
    'nobody is logged out',
  )
  t.same(
    gone.filter(({ sid }) => row(sid)?.ended_at === null),
    [],
    'but for those who logged out',
  )
  await database.close()
}

async function goOn(t: Test, node: ServerProcess, client: Storming): Promise<void> {
  t.equal(await verdict(node, client.tokens), 200, 'the last acknowledged access token works')
  const { status, ...reply } = await refreshed(node, client)
  t.equal(status, 200, 'and so does the last acknowledged refresh token')
  if (reply.tokens === undefined) return
  client.tokens = reply.tokens
  client.rotations += 1
}

async function refreshed(node: ServerProcess, { tokens }: Storming): Promise<{ status: number; tokens?: Tokens }> {
  const reply = await postRefresh(node, tokens)
  const { status } = reply
  return status === 200 ? { status, tokens: await tokensOf(reply) } : { status }
}
