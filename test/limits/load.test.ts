import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { App } from '../../src/http/app-type.ts'
import { bearer, PASSWORD, startApp } from '../support/app.ts'
import { logIn, post, refresh, refreshed, signUp, type User } from '../support/front-door.ts'

/** What every kind of route answers now. */
async function answers(app: App, { access_token, ...user }: User) {
  const status = async (reply: PromiseLike<{ statusCode: number }>) => (await reply).statusCode
  const headers = bearer(access_token)
  const body = { current_password: 'x', new_password: 'y' }
  return {
    login: await status(post(app, '/v1/login', { email: user.email, password: PASSWORD })),
    register: await status(post(app, '/v1/accounts', {})),
    refresh: await status(refresh(app, { refresh_token: 'x' })),
    password: await status(app.inject({ method: 'PUT', url: '/v1/me/password', headers, payload: body })),
    verified: await status(app.inject({ url: '/v1/me', headers })),
    sessions: await status(app.inject({ url: '/v1/sessions', headers })),
    keys: await status(app.inject('/.well-known/jwks.json')),
    alive: await status(app.inject('/health/live')),
  }
}

const CALM = {
  login: 200,
  register: 400,
  refresh: 401,
  password: 401,
  verified: 200,
  sessions: 200,
  keys: 200,
  alive: 200,
}

t.test('when the event loop is late, issuing is refused with 503 and Retry-After, and verifying goes on', async (t) => {
  const { app } = await startApp(t, { env: { LOAD_MAX_EVENT_LOOP_DELAY: '100' } })
  const user = await signUp(app)
  t.same(await answers(app, user), CALM)

  const late = () => app.memoryUsage().eventLoopDelay > 100
  const burden = setInterval(() => block(200), 1)
  t.teardown(() => clearInterval(burden))
  await until(
    'a late event loop refuses',
    async () => late() && (await post(app, '/v1/login', {})).statusCode === 503,
    nextTurn,
  )
  const refused = await post(app, '/v1/login', { email: user.email, password: PASSWORD })
  t.match(refused, { statusCode: 503, headers: { 'retry-after': '1' } })
  t.equal(refused.json().code, 'overloaded')
  const { login, register, refresh, password, ...rest } = await answers(app, user)
  t.same({ login, register, refresh, password }, { login: 503, register: 503, refresh: 503, password: 503 })
  t.same(rest, { verified: 200, sessions: 200, keys: 200, alive: 200 })

  clearInterval(burden)
  await until('the event loop is calm again', () => !late(), nextTurn)
  t.same(await answers(app, user), CALM, 'and it heals')
})

t.test('when too many calls wait for the store, issuing is refused, and what needs no store goes on', async (t) => {
  const { app, database } = await startApp(t, { env: { LOAD_MAX_STORE_QUEUE: '10' } })
  const user = await signUp(app)
  const calls = Array.from({ length: 20 }, () => database.query('SELECT 1 AS one'))
  t.ok(database.waiting() > 10)
  const replies = [
    refresh(app, user),
    post(app, '/v1/login', { email: user.email, password: PASSWORD }),
    app.inject({ url: '/v1/me', headers: bearer(user.access_token) }),
  ]
  t.same(
    (await Promise.all(replies)).map(({ statusCode }) => statusCode),
    [503, 503, 200],
  )
  await Promise.all(calls)
  t.equal(database.waiting(), 0)
  await refreshed(app, user)
})

t.test('a full queue for hashing is told before the body is read, and refresh does not care', async (t) => {
  const { app } = await startApp(t, { env: { PASSWORD_QUEUE: '1' } })
  const user = await signUp(app)
  const storm = Array.from({ length: 50 }, (_, i) =>
    post(app, '/v1/login', { email: user.email, password: 'wrong password' }, { ip: `192.0.2.${i}` }),
  )
  const refreshes = refresh(app, user)
  const statuses = (await Promise.all(storm)).map(({ statusCode }) => statusCode)
  t.same(new Set(statuses), new Set([401, 503]))
  t.equal((await refreshes).statusCode, 200)
  await logIn(app, user.email)
})

t.test('a storm of one network, by whatever route, is refused to it alone while others log in', async (t) => {
  const { app } = await startApp(t, { env: { PASSWORD_QUEUE: '20' } })
  const attackers: User[] = []
  for (let i = 0; i < 30; i += 1) attackers.push(await signUp(app))
  const owner = await signUp(app)
  const ip = '192.0.2.1'
  const STORMS = {
    login: ({ email }: User) => post(app, '/v1/login', { email, password: 'wrong password' }, { ip }),
    register: ({ id }: User) => post(app, '/v1/accounts', { email: `${id}@example.com`, password: PASSWORD }, { ip }),
    password: ({ access_token }: User) =>
      app.inject({
        method: 'PUT',
        url: '/v1/me/password',
        headers: bearer(access_token),
        remoteAddress: ip,
        payload: { current_password: PASSWORD, new_password: 'short' },
      }),
  }
  for (const [name, once] of Object.entries(STORMS)) {
    const storm = attackers.map(async (user) => await once(user))
    await nextTurn()
    const others = Array.from({ length: 5 }, async (_, i) =>
      post(app, '/v1/login', { email: owner.email, password: PASSWORD }, { ip: `203.0.113.${i}` }),
    )
    const passed = (await Promise.all(others)).map(({ statusCode }) => statusCode)
    t.same(passed, Array(5).fill(200), name)
    const replies = await Promise.all(storm)
    const done = { login: 401, register: 201, password: 422 }[name]
    t.same(new Set(replies.map(({ statusCode }) => statusCode)), new Set([done, 429]), name)
    t.match(
      replies.find(({ statusCode }) => statusCode === 429),
      { headers: { 'retry-after': '1' } },
    )
  }
})

t.test('logins whose clients have left are not hashed', async (t) => {
  const { app, log } = await startApp(t, { env: { PASSWORD_HASH_PASSES: '8', PASSWORD_QUEUE: '100' } })
  const { email } = await signUp(app)
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const body = JSON.stringify({ email, password: 'wrong password' })
  const request = `POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  let arrived = 0
  app.server.on('request', (request) => request.once('end', () => (arrived += 1)))

  const sockets = Array.from({ length: 40 }, () => connect(Number(port), '127.0.0.1'))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  for (const socket of sockets) socket.write(request)
  await until('40 requests have arrived', () => arrived === 40, nextTurn)
  for (const socket of sockets) socket.destroy()
  await logIn(app, email) // the queue is fair: those before it are settled
  await until(
    '40 logins are settled',
    () => count(log, 'the client disconnected') + count(log, 'wrong password') >= 40,
    nextTurn,
  )
  t.ok(count(log, 'the client disconnected') > 20, `${count(log, 'the client disconnected')} of 40 were not hashed`)
})

const count = (log: readonly string[], text: string): number =>
  log.filter((line) => line.includes(text) && line.includes('"refused"')).length

/** Keeps the thread busy, as a slow handler would. */
function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** Far more than the slowest machine needs: nothing waits for it to pass. */
const PATIENCE_MS = 20_000

/**
 * Repeats `work` until a condition holds.
 *
 * @param what the condition in words, for the failure
 * @throws when it does not hold within PATIENCE_MS
 */
async function until(what: string, holds: () => boolean | Promise<boolean>, work: () => Promise<unknown>) {
  const end = performance.now() + PATIENCE_MS
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${PATIENCE_MS} ms`)
    await work()
  }
}
