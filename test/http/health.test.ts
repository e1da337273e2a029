import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { healthRoutes } from '../../src/http/health-route.ts'
import { startApp } from '../support/app.ts'

/** The health routes alone, with a store that answers when the test says so, on a clock that goes when it says so. */
function bareHealth(t: Test) {
  const clock = { milliseconds: 0 }
  const queries: { answer(): void; fail(): void }[] = []
  const log: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line) => void log.push(line) } } })
  t.teardown(() => app.close())
  const store = () =>
    new Promise<void>((resolve, reject) => queries.push({ answer: resolve, fail: () => reject(new Error('gone')) }))
  const state = { keyring: 'ok' as 'ok' | 'failed', stopping: false }
  healthRoutes(app as never, {
    store,
    keyring: () => state.keyring,
    isStopping: () => state.stopping,
    revocationsAge: () => 0,
    monotonic: () => clock.milliseconds,
  })
  const ready = async () => (await app.inject('/health/ready')).statusCode
  const many = (count: number) => Promise.all(Array.from({ length: count }, ready))
  const asked = async (count: number) => {
    while (queries.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
  return { app, clock, queries, log, state, ready, many, asked }
}

t.test('all who ask at once share one look, and it is kept for half a second', async (t) => {
  const { clock, queries, ready, many, asked } = bareHealth(t)
  const first = many(40)
  await asked(1)
  clock.milliseconds += 10_000
  const second = many(40)
  queries[0]?.answer()
  t.same(new Set([...(await first), ...(await second)]), new Set([200]))
  t.equal(queries.length, 1, 'however long it takes')
  clock.milliseconds += 499
  await many(40)
  t.equal(queries.length, 1)
  clock.milliseconds += 1
  const next = ready()
  await asked(2)
  queries[1]?.answer()
  t.equal(await next, 200)
})

t.test('a look that fails is shared too, told once, and the next one may be good', async (t) => {
  const { clock, queries, log, many, ready, asked } = bareHealth(t)
  const first = many(40)
  await asked(1)
  queries[0]?.fail()
  t.same(new Set(await first), new Set([503]))
  t.same(new Set(await many(40)), new Set([503]))
  t.equal(queries.length, 1)
  t.equal(log.filter((line) => line.includes('the store is not ready')).length, 1)
  clock.milliseconds += 500
  const next = ready()
  await asked(2)
  queries[1]?.answer()
  t.equal(await next, 200)
})

t.test('what is known without the store is never old', async (t) => {
  const { app, queries, state, ready, asked } = bareHealth(t)
  const first = ready()
  await asked(1)
  queries[0]?.answer()
  t.equal(await first, 200)
  state.keyring = 'failed'
  t.match((await app.inject('/health/ready')).json(), { status: 'failed', checks: { store: 'ok', keyring: 'failed' } })
  state.stopping = true
  t.equal((await app.inject('/health/ready')).json().status, 'stopping')
  t.equal(queries.length, 1)
})

t.test('the real server asks its store once for many', async (t) => {
  const { app, database } = await startApp(t)
  const { query } = database
  let asked = 0
  database.query = ((...args: Parameters<typeof query>) => {
    if (args[0].startsWith('SELECT 1')) asked += 1
    return query.apply(database, args)
  }) as typeof query
  const replies = await Promise.all(Array.from({ length: 100 }, () => app.inject('/health/ready')))
  t.same(new Set(replies.map(({ statusCode }) => statusCode)), new Set([200]))
  t.equal(asked, 1)
})
