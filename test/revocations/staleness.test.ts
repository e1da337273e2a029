import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Config } from '../../src/config/config.ts'
import { anotherNode, type Node } from '../support/another-node.ts'
import { startApp } from '../support/app.ts'
import { signUp, type User } from '../support/front-door.ts'
import { call, standing } from '../support/people.ts'

// The age of the set is measured with performance.now(). These tests set that clock forward, so none of them waits.

function clockForward(t: Test): { by: number } {
  const forward = { by: 0 }
  const real = performance.now.bind(performance)
  t.intercept(performance, 'now', { configurable: true, value: () => real() + forward.by * 1000 })
  return forward
}

async function nodeOfTwo(
  t: Test,
  settings: Partial<Config>,
): Promise<Node & { person: User; forward: { by: number } }> {
  const forward = clockForward(t)
  const server = await startApp(t)
  const node = await anotherNode(t, server, { settings })
  return { ...node, person: await signUp(server.app), forward }
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await pause(5)
}

const age = async ({ app }: Node): Promise<number> => (await app.inject('/health/ready')).json().revocations_age

t.test(
  'a node that loses the store goes on with the set it has; with `accept` for as long as tokens live',
  async (t) => {
    const node = await nodeOfTwo(t, { REVOCATION_MAX_STALENESS: 60, REVOCATION_STALE_POLICY: 'accept' })
    const { app, link, person, forward } = node
    link.cut = true
    for (const by of [0, 59, 61, 500]) {
      forward.by = by
      t.same(await standing(app, person.access_token), [200, undefined], `${by} s`)
    }
    t.ok((await age(node)) >= 500, 'and says how old the set is')
  },
)

t.test('with `reject` it answers 503 from the age that the setting names, until the store is back', async (t) => {
  const node = await nodeOfTwo(t, { REVOCATION_MAX_STALENESS: 60, REVOCATION_STALE_POLICY: 'reject' })
  const { app, link, person, forward } = node
  t.same(await standing(app, person.access_token), [200, undefined])
  link.cut = true
  forward.by = 50
  t.same(await standing(app, person.access_token), [200, undefined])

  forward.by = 61
  const refused = await call(app, person.access_token, 'GET', '/v1/me')
  t.equal(refused.statusCode, 503)
  t.equal(refused.json().code, 'revocations_stale')
  t.match(refused.headers['retry-after'], /^\d+$/)
  t.equal((await app.inject('/v1/me')).statusCode, 401, 'who has no token is told so')
  t.same(await standing(app, `${person.access_token}x`), [401, 'invalid_token'], 'also who has a bad one')
  for (const url of ['/.well-known/jwks.json', '/health/live'])
    t.equal((await app.inject(url)).statusCode, 200, `${url} is public`)

  link.cut = false
  await until(async () => (await standing(app, person.access_token))[0] === 200)
  t.ok((await age(node)) < 60)
})

t.test('a staleness of 0 is never too old', async (t) => {
  const { app, link, person, forward } = await nodeOfTwo(t, {
    REVOCATION_MAX_STALENESS: 0,
    REVOCATION_STALE_POLICY: 'reject',
  })
  link.cut = true
  for (const by of [1, 100_000]) {
    forward.by = by
    t.same(await standing(app, person.access_token), [200, undefined], `${by} s`)
  }
})

t.test('losing the store and finding it again is one line of the log each, however long it takes', async (t) => {
  const node = await nodeOfTwo(t, {})
  const { link, log } = node
  const lines = (part: RegExp) => log.map((line) => JSON.parse(line)).filter(({ msg }) => part.test(msg))
  link.cut = true
  await until(() => lines(/can not be read/).length > 0)
  const before = await age(node)
  await until(async () => (await age(node)) > before + 0.6) // two more looks
  link.cut = false
  await until(() => lines(/can be read again/).length > 0)
  t.match(lines(/can not be read/), [{ level: 'error', err: { message: 'cut' } }])
  t.match(lines(/can be read again/), [{ level: 'info' }])
})

t.test('with the database closed for good the policy decides too', async (t) => {
  for (const [policy, after] of [
    ['accept', [200, undefined]],
    ['reject', [503, 'revocations_stale']],
  ] as const) {
    await t.test(policy, async (t) => {
      const forward = clockForward(t)
      const { app, database } = await startApp(t, { env: { REVOCATION_STALE_POLICY: policy } })
      const { access_token: access } = await signUp(app)
      await database.close()
      t.same(await standing(app, access), [200, undefined])
      forward.by = 61
      t.same(await standing(app, access), after, 'after the default of 60 s')
    })
  }
})
