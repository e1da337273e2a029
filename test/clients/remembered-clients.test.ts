import { mock } from 'node:test'
import t from 'tap'
import type { ClientStore } from '../../src/clients/client-store.ts'
import { type Found, rememberClients } from '../../src/clients/remembered-clients.ts'
import { bearer, startApp } from '../support/app.ts'
import { ENGINES, type Engine } from '../support/engines.ts'
import { clientToken, NOW, OPERATOR, operator, outcome, register } from '../support/oauth.ts'

/** A store of nothing but clients, how often it was asked, and a clock in milliseconds. */
async function remembered() {
  const clock = { ms: 0 }
  const asked: string[] = []
  const answers: Array<(found: Found) => void> = []
  const row = (id: string) => ({ client: { id }, secretHashes: ['hash'] }) as unknown as Found
  const store = {
    forAuthentication: async (id: string) => {
      asked.push(id)
      return id === 'slow'
        ? new Promise<Found>((resolve) => answers.push(resolve))
        : id === 'nobody'
          ? undefined
          : row(id)
    },
    rotateSecret: async () => 'done',
    setStatus: async () => 'done',
    remove: async () => true,
  } as unknown as ClientStore
  const clients = rememberClients(store, () => clock.ms)
  return { clients, clock, asked, answers, row }
}

t.test('what was found is remembered for 50 ms, within one second of the clock', async (t) => {
  const { clients, clock, row } = await remembered()
  t.equal(clients.remembered('a', NOW), undefined)
  t.same(await clients.forAuthentication('a', NOW), row('a'))
  t.same(clients.remembered('a', NOW), row('a'))
  t.equal(clients.remembered('b', NOW), undefined)
  t.equal(clients.remembered('a', NOW + 1), undefined, 'its secret may have ended')
  clock.ms = 49
  t.same(clients.remembered('a', NOW), row('a'))
  clock.ms = 50
  t.equal(clients.remembered('a', NOW), undefined)
})

t.test('who is not there is looked for each time', async (t) => {
  const { clients, asked } = await remembered()
  for (let i = 0; i < 3; i += 1) t.equal(await clients.forAuthentication('nobody', NOW), undefined)
  t.equal(clients.remembered('nobody', NOW), undefined)
  t.equal(asked.length, 3)
})

t.test('a change is seen at once, also by a look that began before it', async (t) => {
  const { clients, answers, row } = await remembered()
  const changes = [
    () => clients.rotateSecret('a', { hash: 'x', overlap: 0 }, NOW, {} as never),
    () => clients.setStatus('a', 'disabled', NOW, {} as never),
    () => clients.remove('a', NOW, {} as never),
  ]
  for (const change of changes) {
    await clients.forAuthentication('a', NOW)
    const look = clients.forAuthentication('slow', NOW)
    t.ok(await change(), 'what the store says of it')
    t.equal(clients.remembered('a', NOW), undefined)
    answers.pop()?.(row('slow'))
    t.same(await look, row('slow'))
    t.equal(clients.remembered('slow', NOW), undefined)
  }
})

t.test('no more than a thousand are remembered', async (t) => {
  const { clients } = await remembered()
  for (let i = 0; i < 1000; i += 1) await clients.forAuthentication(`${i}`, NOW)
  t.ok(clients.remembered('0', NOW))
  await clients.forAuthentication('one more', NOW)
  t.ok(clients.remembered('one more', NOW))
  t.equal(clients.remembered('0', NOW), undefined)
})

t.test('many tokens in a row do not ask the store each time, and a wrong secret does', async (t) => {
  const server = await startApp(t, { now: () => NOW })
  const client = await register(server)
  const query = server.database.query.bind(server.database)
  let looks = 0
  server.database.query = (sql, params) => {
    if (sql.includes('secret_hash')) looks += 1
    return query(sql, params)
  }
  for (let i = 0; i < 30; i += 1) t.equal(outcome(await clientToken(server.app, client)), 'good')
  t.ok(looks < 30, `${looks} times`) // and not once, because the moment ends in between
  const before = looks
  for (let i = 0; i < 3; i += 1)
    t.equal(outcome(await clientToken(server.app, { ...client, secret: `${client.secret}x` })), 'invalid_client')
  t.equal(looks, before + 3)
})

t.test('a token from memory, of a client that was disabled elsewhere, is refused on every node', async (t) => {
  const now = () => NOW
  const env = { DATABASE_URL: await (ENGINES[0] as Engine).url(t) }
  const [a, b] = [await startApp(t, { now, env }), await startApp(t, { now, env })]
  const client = await register(a)
  let instant = performance.now()
  const monotonic = mock.method(performance, 'now', () => instant) // the 50 ms pass when the test says so
  t.teardown(() => monotonic.mock.restore())
  t.equal(outcome(await clientToken(b.app, client)), 'good')
  await operator(a).setStatus(client.id, 'disabled', OPERATOR)
  const reply = await clientToken(b.app, client)
  t.equal(outcome(reply), 'good', 'b does not know yet')
  instant += 50
  t.equal(outcome(await clientToken(b.app, client)), 'invalid_client')
  for (const { app } of [a, b]) {
    const me = () => app.inject({ url: '/v1/me', headers: bearer(reply.json().access_token) })
    for (let i = 0; i < 100 && (await me()).statusCode === 200; i += 1)
      await new Promise((resolve) => setTimeout(resolve, 20))
    t.equal((await me()).json().code, 'invalid_token')
  }
})
