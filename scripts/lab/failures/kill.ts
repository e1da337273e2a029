import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Failure, Faults, type Outcome, type Run } from './failure.ts'
import { type Env, kill, type Node, newService, startNode, terminate } from './node.ts'
import { me, pairOf, people, postLogin, postLogout, postRefresh, register, type Tokens } from './people.ts'

const CLIENTS = 8
/** Milliseconds of load before a kill: the minimum, and how much random time is added at most. */
const STORM = [100, 300] as const

/** What the server has acknowledged since the last kill, and must still have after the next boot. */
interface Acknowledged {
  /** The last pair of tokens of each client. */
  readonly clients: { tokens: Tokens }[]
  ended: Tokens[]
  registered: string[]
  rotations: number
}

/** A process is killed again and again, in the middle of refreshes, registrations and logouts. */
export const killFailure: Failure = {
  title: 'kill -9 under load, on both stores',
  async run(run) {
    const sqlite = await killAgainAndAgain(run, {}, 'SQLite')
    const { create } = await run.postgres()
    const postgres = await killAgainAndAgain(run, { DATABASE_URL: await create() }, 'PostgreSQL')
    return {
      figures: `${sqlite.figures}; ${postgres.figures}`,
      faults: [...sqlite.faults, ...postgres.faults],
    }
  },
}

async function killAgainAndAgain(run: Run, settings: Env, name: string): Promise<Outcome> {
  const faults = new Faults()
  const env = await newService(run, { ...settings, REFRESH_GRACE: '0', MAX_SESSIONS_PER_ACCOUNT: '1000' })
  const total = { rotations: 0, registered: 0, ended: 0, slowestBoot: 0 }
  let node = await startNode(env)
  const sessions = await people(node.origin, 'storm@example.com', CLIENTS)
  const clients = sessions.map((tokens) => ({ tokens }))
  for (let turn = 1; turn <= run.times; turn += 1) {
    const acknowledged = await storm(node, clients, turn)
    node = await startNode(env)
    total.slowestBoot = Math.max(total.slowestBoot, node.bootTime)
    total.rotations += acknowledged.rotations
    total.registered += acknowledged.registered.length
    total.ended += acknowledged.ended.length
    await checkNothingLost(node, acknowledged, faults)
  }
  const { code } = await terminate(node)
  faults.expect(code === 0, `exit code ${code} at the end`)
  if (settings.DATABASE_URL === undefined) checkIntegrity(String(env.DATABASE_URL), faults)
  const figures =
    `${name}: ${run.times} kills, acknowledged ${total.rotations} rotations, ${total.registered} registrations ` +
    `and ${total.ended} logouts; slowest boot ${Math.round(total.slowestBoot)} ms`
  return { figures, faults: faults.list().map((fault) => `${name}: ${fault}`) }
}

/** Puts load on the server, and kills it in the middle. */
async function storm(node: Node, clients: { tokens: Tokens }[], turn: number): Promise<Acknowledged> {
  const acknowledged: Acknowledged = { clients, ended: [], registered: [], rotations: 0 }
  const leaver = pairOf(await postLogin(node.origin, 'storm@example.com'))
  const refreshing = clients.map(async (client) => {
    for (;;) {
      const pair = pairOf(await postRefresh(node.origin, client.tokens))
      if (pair === undefined) return
      client.tokens = pair
      acknowledged.rotations += 1
    }
  })
  const registering = async () => {
    for (let i = 0; ; i += 1) {
      const email = `${turn}-${i}@example.com`
      if ((await register(node.origin, email)).status !== 201) return
      acknowledged.registered.push(email)
    }
  }
  const leaving = async () => {
    await sleep(STORM[0])
    if (leaver !== undefined && (await postLogout(node.origin, leaver)).status === 204) acknowledged.ended.push(leaver)
  }
  const working = Promise.all([...refreshing, registering(), leaving()])
  await sleep(STORM[0] + Math.random() * STORM[1])
  await kill(node)
  await working
  return acknowledged
}

async function checkNothingLost({ origin }: Node, acknowledged: Acknowledged, faults: Faults): Promise<void> {
  await Promise.all(
    acknowledged.clients.map(async (client) => {
      const verified = await me(origin, client.tokens)
      faults.expect(verified.status === 200, `an acknowledged access token: ${verified.status} ${verified.body.code}`)
      const refreshed = await postRefresh(origin, client.tokens)
      const pair = pairOf(refreshed)
      if (pair !== undefined) client.tokens = pair
      else faults.add(`an acknowledged refresh token: ${refreshed.status} ${refreshed.body.code}`)
    }),
  )
  for (const ended of acknowledged.ended) {
    faults.expect((await me(origin, ended)).status === 401, 'a session that was ended is alive again')
    faults.expect((await postRefresh(origin, ended)).status === 401, 'a session that was ended can be refreshed')
  }
  const last = acknowledged.registered.slice(-1) // earlier ones were committed earlier
  for (const email of last)
    faults.expect((await postLogin(origin, email)).status === 200, 'an acknowledged registration is gone')
}

export function checkIntegrity(databaseUrl: string, faults: Faults): void {
  const db = new DatabaseSync(databaseUrl.slice('sqlite:'.length))
  const [row] = db.prepare('PRAGMA integrity_check').all()
  db.close()
  faults.expect(row?.integrity_check === 'ok', `integrity_check: ${row?.integrity_check}`)
}
