import { connect, createServer, type Socket } from 'node:net'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Database } from '../../../src/db/database.ts'
import { openNode } from '../../support/engines.ts'
import { administer, crashPostgres, postgresUrl, startPostgres, stopPostgres } from '../../support/postgres.ts'

// PostgreSQL goes away and comes back, under load and without a restart of ours.

async function until(condition: () => boolean) {
  while (!condition()) await sleep(5)
}

/** Calls without a break. Its counters tell how they ended. */
function load(t: Test, db: Database) {
  const seen = {
    done: 0,
    refused: 0,
    codes: new Set<unknown>(),
    refusedClients: new Set<number>(),
    stop: () => undefined as unknown,
  }
  let over = false
  const client = async (n: number) => {
    while (!over) {
      const write = { sql: 'UPDATE things SET size = size + 1 WHERE id = $1', params: [String(n)] }
      const call = n % 2 === 0 ? db.query('SELECT size FROM things') : db.transaction([write], 'things')
      await call.then(
        () => (seen.done += 1),
        ({ code }) => {
          seen.refused += 1
          seen.codes.add(code)
          seen.refusedClients.add(n)
        },
      )
      await sleep(1)
    }
  }
  const clients = Promise.all(Array.from({ length: 30 }, (_, n) => client(n)))
  seen.stop = () => {
    over = true
    return clients
  }
  t.teardown(seen.stop)
  return seen
}

async function store(t: Test, url: string, env: Record<string, string> = {}) {
  const db = await openNode(t, url, env)
  await db.query('CREATE TABLE IF NOT EXISTS things (id TEXT PRIMARY KEY, size BIGINT)')
  return db
}

/** True when a call is refused before anything outside the process could have answered. */
async function refusesAtOnce(db: Database): Promise<boolean> {
  const call = db.query('SELECT 1').then(
    () => 'done',
    ({ code }) => code,
  )
  return (await Promise.race([call, nextTurn('waits')])) === 'store_unavailable'
}

for (const [name, halt] of [
  ['stopped', stopPostgres],
  ['killed', crashPostgres],
] as const) {
  t.test(`a server that is ${name} under load: refused at once, and healed when it is back`, async (t) => {
    const db = await store(t, await postgresUrl(t))
    const seen = load(t, db)
    let told = 0
    const listening = () => {
      told += 1
    }
    t.teardown(db.listen('things', listening))
    await until(() => seen.done > 200 && told > 2)

    await halt()
    const { refused } = seen
    await until(() => seen.refused > refused + 500)
    t.equal(seen.refusedClients.size, 30, 'nobody hangs')
    t.ok(await refusesAtOnce(db))
    await t.rejects(db.transaction([]), { code: 'store_unavailable', status: 503 })

    await startPostgres()
    const { done } = seen
    await until(() => seen.done > done + 200)
    const before = told
    await until(() => told > before) // the listener is back as well
    await seen.stop()
    t.same([...seen.codes], ['store_unavailable'])
    t.equal((await db.query('SELECT 1 AS one')).length, 1)
  })
}

t.test(
  'a server that falls silent: calls are given up on, later ones refused at once, and all is well when it speaks',
  async (t) => {
    const { url, silence, speak } = await proxy(t, await postgresUrl(t))
    const db = await store(t, url, { DATABASE_STATEMENT_TIMEOUT: '1', DATABASE_POOL_SIZE: '3' })
    await Promise.all(Array.from({ length: 3 }, () => db.query('SELECT pg_sleep(0.01)'))) // three connections stand open
    silence()
    await t.rejects(db.query('SELECT 1'), { code: 'store_unavailable', reason: /timeout/ })
    t.ok(await refusesAtOnce(db))
    speak()
    for (;;) {
      if ((await db.query('SELECT 1 AS one').catch(() => [])).length === 1) break
      await sleep(5)
    }
    // Had a connection from before been kept, one of these would wait for an answer that never comes.
    t.equal((await Promise.all(Array.from({ length: 30 }, () => db.query('SELECT 1')))).length, 30)
  },
)

t.test('a server that comes back full is no longer said to be away', async (t) => {
  const url = await postgresUrl(t)
  await administer("CREATE ROLE crowded LOGIN PASSWORD 'secret'")
  const db = await openNode(t, Object.assign(new URL(url), { username: 'crowded', password: 'secret' }).href)
  const reason = () =>
    db.query('SELECT 1').then(
      () => 'good',
      (error) => String(error.reason),
    )
  await administer('ALTER ROLE crowded CONNECTION LIMIT 0')
  await stopPostgres()
  while ((await reason()) === 'good') await sleep(5)
  t.notMatch(await reason(), '53300')
  await startPostgres()
  while (!(await reason()).includes('53300')) await sleep(5)
  await administer('ALTER ROLE crowded CONNECTION LIMIT -1')
  t.equal(await reason(), 'good')
})

t.test('a store can be closed while its server is away', async (t) => {
  const db = await store(t, await postgresUrl(t))
  db.listen('things', () => undefined)
  await stopPostgres()
  await t.rejects(db.query('SELECT 1'), { code: 'store_unavailable' })
  await db.close()
  await t.rejects(db.query('SELECT 1'), { code: 'store_unavailable', reason: /closed/ })
  await startPostgres()
})

/** A proxy between the store and PostgreSQL that can swallow everything, like a cable that is cut: no FIN arrives. */
async function proxy(t: Test, target: string) {
  let silent = false
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(target).port), '127.0.0.1')
    const deaf = silent // a connection that lost its other end never gets it back
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
      from.on('data', (chunk) => {
        if (!deaf && !cut.has(from)) to.write(chunk)
      })
    }
  })
  const cut = new Set<Socket>()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as { port: number }
  return {
    url: Object.assign(new URL(target), { port }).href,
    silence() {
      silent = true
      for (const socket of sockets) cut.add(socket)
    },
    speak: () => {
      silent = false
    },
  }
}
