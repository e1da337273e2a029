import { connect } from 'node:net'
import t from 'tap'
import { ROUTE_LIMITS } from '../../src/limits/limiter.ts'
import { logIn, post, publicPart, refresh, serverAt, signUp, type User } from '../sessions/front-door.ts'
import { bearer, PASSWORD, startApp, UNLIMITED } from '../support/app.ts'
import { startServer } from '../support/process.ts'

const START = 1_800_000_000
const WRONG = 'not the password of anybody'

/** The settings of a real server, as far as limits go. */
const ON = Object.fromEntries(Object.keys(UNLIMITED).map((name) => [name, undefined])) as unknown as Record<
  string,
  string
>

const limited = (t: Parameters<typeof serverAt>[0], env: Record<string, string> = {}) =>
  serverAt(t, START, { ...ON, LOAD_MAX_EVENT_LOOP_DELAY: '0', ...env })

t.test('every open route that changes something has a limit, and an unknown one is refused at boot', async (t) => {
  const routes: Record<string, string | undefined> = {}
  await startApp(t, {
    onRoute: ({ method, url, config }) => {
      if (config?.auth === 'public' && !['GET', 'HEAD'].includes(String(method)))
        routes[`${method} ${url}`] = config.limit
    },
  })
  t.ok(Object.keys(routes).length >= 5)
  for (const [route, limit] of Object.entries(routes)) t.ok(ROUTE_LIMITS.includes(limit as never), route)

  const wrong =
    (limit: string) => (app: Parameters<NonNullable<Parameters<typeof startApp>[1]>['routes'] & object>[0]) =>
      void app.post('/x', { config: { auth: 'public', limit: limit as never } }, () => '')
  await t.rejects(startApp(t, { routes: wrong('logins') }), { message: /there is no limit logins/ })
  await t.rejects(startApp(t, { routes: wrong('password') }), { message: /a public route has none/ })
})

t.test('the defaults are on in a real server', async (t) => {
  const server = await startServer(t, { ...ON })
  const statuses = []
  for (let i = 0; i < 70; i += 1) {
    const reply = await fetch(`${server.url}/v1/login`, { method: 'POST' })
    statuses.push(reply.status)
  }
  t.equal(statuses.indexOf(429) >= 60, true, 'about sixty a minute')
  t.equal(statuses.at(-1), 429)
})

t.test('a network gets so many requests a minute, told in the standard headers, before the body is read', async (t) => {
  const { app, pass } = await limited(t, { RATE_LIMIT_LOGIN: '3' })
  const garbage = (ip = '192.0.2.1') =>
    app.inject({
      method: 'POST',
      url: '/v1/login',
      payload: '{',
      headers: { 'content-type': 'application/json' },
      remoteAddress: ip,
    })
  for (const left of [2, 1, 0]) {
    const { statusCode, headers } = await garbage()
    t.equal(statusCode, 400)
    t.match(headers, {
      'ratelimit-limit': '3',
      'ratelimit-remaining': String(left),
      'ratelimit-reset': String(60 - 20 * left),
    })
  }
  const refused = await garbage()
  t.equal(refused.statusCode, 429)
  t.match(refused.headers, {
    'retry-after': '20',
    'ratelimit-limit': '3',
    'ratelimit-remaining': '0',
    'content-type': /^application\/problem\+json/,
    'cache-control': 'no-store',
  })
  t.match(refused.json(), { type: 'urn:signet:error:too_many_requests', status: 429, code: 'too_many_requests' })
  t.equal((await garbage('::ffff:192.0.2.1')).statusCode, 429, 'the same address in IPv6 clothes')
  t.equal((await garbage('192.0.2.2')).statusCode, 400, 'another client')
  pass(20)
  t.equal((await garbage()).statusCode, 400)
})

t.test('IPv6 counts by /64', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_LOGIN: '3' })
  const from = async (ip: string) => (await post(app, '/v1/login', {}, { ip })).statusCode
  for (let i = 1; i <= 3; i += 1) t.equal(await from(`2001:db8::${i}`), 400)
  t.equal(await from('2001:db8::ffff:4'), 429)
  t.equal(await from('2001:db8:0:1::1'), 400)
})

t.test('an address in X-Forwarded-For counts only when a trusted proxy says so', async (t) => {
  const fresh = (app: Parameters<typeof post>[0], remoteAddress: string, forwarded: string) =>
    app.inject({
      method: 'POST',
      url: '/v1/login',
      payload: {},
      remoteAddress,
      headers: { 'x-forwarded-for': forwarded },
    })

  const { app: alone } = await limited(t, { RATE_LIMIT_LOGIN: '1' })
  t.equal((await fresh(alone, '192.0.2.1', '198.51.100.1')).statusCode, 400)
  t.equal((await fresh(alone, '192.0.2.1', '198.51.100.2')).statusCode, 429, 'it is whatever the client writes')

  const { app } = await limited(t, { RATE_LIMIT_LOGIN: '1', TRUST_PROXY: '10.0.0.0/8' })
  t.equal((await fresh(app, '10.0.0.1', '198.51.100.1')).statusCode, 400)
  t.equal((await fresh(app, '10.0.0.1', '198.51.100.2')).statusCode, 400)
  t.equal(
    (await fresh(app, '10.0.0.2', '203.0.113.9, 198.51.100.2')).statusCode,
    429,
    'what the client wrote before it does not',
  )
  t.equal((await fresh(app, '192.0.2.1', '198.51.100.3')).statusCode, 400)
  t.equal((await fresh(app, '192.0.2.1', '198.51.100.4')).statusCode, 429, 'not our proxy')
  for (const nonsense of ['', 'unknown', 'x'.repeat(8000), '::::', ',,,']) {
    const { statusCode } = await fresh(app, '10.0.0.3', nonsense)
    t.ok([400, 429].includes(statusCode), `${statusCode} for ${nonsense.slice(0, 10)}`)
  }
})

t.test('each of the other routes has a limit of its own', async (t) => {
  const env = { RATE_LIMIT_REGISTER: '2', RATE_LIMIT_REFRESH: '2', RATE_LIMIT_PASSWORD_CHANGE: '2' }
  const { app } = await limited(t, env)
  const user = await signUp(app)
  const other = await signUp(app)
  const change = ({ access_token }: User, ip: string) =>
    app.inject({ method: 'PUT', url: '/v1/me/password', headers: bearer(access_token), remoteAddress: ip, payload: {} })

  for (const code of ['validation_failed', 'validation_failed', 'too_many_requests'])
    t.equal((await post(app, '/v1/accounts', {})).json().code, code)
  t.equal((await refresh(app, { refresh_token: 'x' })).statusCode, 401)
  t.equal((await refresh(app, { refresh_token: 'x' })).statusCode, 401)
  t.equal((await refresh(app, user)).statusCode, 429)
  t.equal((await refresh(app, user, { ip: '192.0.2.9' })).statusCode, 200)

  t.equal((await change(user, '192.0.2.1')).statusCode, 400)
  t.equal((await change(user, '192.0.2.2')).statusCode, 400)
  t.equal((await change(user, '192.0.2.3')).statusCode, 429, 'by account, from wherever')
  t.equal((await change(other, '192.0.2.3')).statusCode, 400)
  t.equal((await app.inject({ url: '/v1/me', headers: bearer(user.access_token) })).statusCode, 200)
})

t.test('the OAuth routes have theirs, in the words of OAuth', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_TOKEN: '1' })
  const ask = (url: string) =>
    app.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: 'grant_type=password',
    })
  t.equal((await ask('/oauth/token')).json().error, 'unsupported_grant_type')
  for (const url of ['/oauth/token', '/oauth/revoke']) {
    const refused = await ask(url)
    t.match(refused, { statusCode: 429, headers: { 'retry-after': '60', 'ratelimit-remaining': '0' } })
    t.equal(refused.json().error, 'too_many_requests')
  }
})

t.test('one session and one email are limited from wherever they come', async (t) => {
  const { app, pass } = await limited(t, { RATE_LIMIT_REFRESH_PER_SESSION: '2', RATE_LIMIT_REGISTER_PER_EMAIL: '2' })
  const user = await signUp(app)
  for (const ip of ['192.0.2.1', '192.0.2.2']) t.equal((await refresh(app, user, { ip })).statusCode, 200)
  const refused = await refresh(app, user, { ip: '192.0.2.3' })
  t.match(refused, { statusCode: 429, headers: { 'retry-after': '30' } })
  t.equal(
    (await refresh(app, { refresh_token: `srt_${'A'.repeat(80)}` })).statusCode,
    401,
    'garbage spends from no session',
  )
  pass(5)
  t.equal((await refresh(app, user)).statusCode, 429)
  pass(25)
  t.equal((await refresh(app, user)).statusCode, 401, 'the limit does not stretch the grace')

  const again = (ip: string, email: string) => post(app, '/v1/accounts', { email, password: PASSWORD }, { ip })
  t.equal((await again('192.0.2.1', 'ada@example.com')).statusCode, 201)
  t.equal((await again('192.0.2.2', 'ADA@example.com')).statusCode, 409)
  t.equal((await again('192.0.2.3', ' ada@EXAMPLE.com')).statusCode, 429)
})

t.test('wrong passwords: the answer is the same whether the account exists or not, throttled too', async (t) => {
  const { app, pass } = await limited(t)
  const { email } = await signUp(app, { ip: '192.0.2.200' })
  const guess = (email: string, password = WRONG) => post(app, '/v1/login', { email, password }, { ip: '192.0.2.1' })
  const answers = { theirs: [] as string[], nobodys: [] as string[] }
  for (let i = 0; i < 6; i += 1) {
    answers.theirs.push(publicPart(await guess(email)))
    answers.nobodys.push(publicPart(await guess('nobody@example.com')))
    pass(i === 5 ? 0 : 60) // whole again, so that the headers of the network are the same
  }
  t.same(answers.theirs.map(statusOf), [401, 401, 401, 401, 401, 401])
  const [theirs, nobodys] = [await guess(email.toUpperCase()), await guess('Nobody@Example.com ')]
  t.match(theirs, { statusCode: 429, headers: { 'retry-after': '2' } })
  const { 'ratelimit-remaining': _a, 'ratelimit-reset': _b, ...headers } = nobodys.headers
  t.match(theirs.headers, { ...headers, 'x-request-id': /./ })
  t.equal(theirs.json().title, nobodys.json().title)
  t.equal((await guess(email, PASSWORD)).statusCode, 429, 'the right password is no way around')
  pass(2)
  t.equal((await guess(email, PASSWORD)).statusCode, 200)
})

t.test('a hundred guesses at once are five, and the account is still open to its owner', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_LOGIN: '0' })
  const { email } = await signUp(app, { ip: '192.0.2.200' })
  const storm = Array.from({ length: 100 }, () =>
    post(app, '/v1/login', { email, password: WRONG }, { ip: '192.0.2.1' }),
  )
  const codes = (await Promise.all(storm)).map(statusOf)
  t.equal(codes.filter((code) => code === 401).length, 5)
  t.equal(codes.filter((code) => code === 429).length, 95)
  await logIn(app, email, { ip: '192.0.2.200' })
})

t.test('a botnet can not lock the owner out, not even across a restart', async (t) => {
  const server = await limited(t, { LOGIN_FAILURES_PER_ACCOUNT: '4', LOGIN_FREE_FAILURES: '5' })
  const { app } = server
  const home = { ip: '2001:db8:1::1' }
  const { email } = await signUp(app, home)
  const attack = (node: typeof app) => (bot: number) =>
    post(node, '/v1/login', { email, password: WRONG }, { ip: `203.0.113.${bot}` })
  for (let bot = 1; bot <= 4; bot += 1) t.equal((await attack(app)(bot)).statusCode, 401)
  const refused = await attack(app)(5)
  t.match(refused, { statusCode: 429, headers: { 'retry-after': String(86_400 / 4) } })
  await logIn(app, email, { ip: '2001:db8:1::2' })

  const { anotherNode } = await import('../revocations/another-node.ts')
  const restarted = await anotherNode(t, server, { now: server.now })
  for (let bot = 1; bot <= 4; bot += 1) t.equal((await attack(restarted.app)(bot)).statusCode, 401)
  t.equal((await attack(restarted.app)(5)).statusCode, 429)
  await logIn(restarted.app, email, { ip: '2001:db8:1::3' })
  t.equal(
    (await post(restarted.app, '/v1/login', { email, password: PASSWORD }, { ip: '203.0.113.77' })).statusCode,
    429,
  )
  t.equal(
    (await post(restarted.app, '/v1/login', { email: 'nobody@example.com', password: PASSWORD }, home)).statusCode,
    401,
  )
})

t.test('the current password can not be guessed at with a stolen token', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_PASSWORD_CHANGE: '0' })
  const user = await signUp(app, { ip: '192.0.2.200' })
  const change = (current_password: string, ip: string) =>
    app.inject({
      method: 'PUT',
      url: '/v1/me/password',
      headers: bearer(user.access_token),
      remoteAddress: ip,
      payload: { current_password, new_password: 'another horse battery staple' },
    })
  for (let i = 0; i < 5; i += 1) t.equal((await change(WRONG, '192.0.2.1')).statusCode, 401)
  t.match(await change(PASSWORD, '192.0.2.1'), { statusCode: 429, headers: { 'retry-after': '1' } })
  t.equal((await change(PASSWORD, '192.0.2.200')).statusCode, 204, 'the owner at home')
})

t.test('nor from many networks with it', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_PASSWORD_CHANGE: '0', LOGIN_FAILURES_PER_ACCOUNT: '3' })
  const user = await signUp(app, { ip: '192.0.2.200' })
  const change = (ip: string) =>
    app.inject({
      method: 'PUT',
      url: '/v1/me/password',
      headers: bearer(user.access_token),
      remoteAddress: ip,
      payload: { current_password: WRONG, new_password: 'another horse battery staple' },
    })
  for (let bot = 1; bot <= 3; bot += 1) t.equal((await change(`203.0.113.${bot}`)).statusCode, 401)
  t.equal((await change('203.0.113.4')).statusCode, 429)
  t.equal((await change('192.0.2.200')).statusCode, 401, 'where the account is logged in')
})

t.test('a refused guess is not hashed: it is answered while the gate is full', async (t) => {
  const { app } = await limited(t, { PASSWORD_QUEUE: '1', RATE_LIMIT_LOGIN: '0' })
  const guess = (email: string) => post(app, '/v1/login', { email, password: WRONG })
  for (let i = 0; i < 5; i += 1) t.equal((await guess('ada@example.com')).statusCode, 401)
  const burst = await Promise.all(Array.from({ length: 10 }, () => guess('ada@example.com')))
  t.same(new Set(burst.map(statusOf)), new Set([429]))
})

t.test('limits tell neither the email nor the password to the log', async (t) => {
  const { app, log } = await limited(t, { RATE_LIMIT_LOGIN: '1' })
  for (let i = 0; i < 3; i += 1) await post(app, '/v1/login', { email: 'ada@example.com', password: WRONG })
  t.match(log.join(''), /too_many_requests/)
  t.notMatch(log.join(''), /ada@|not the password/)
})

t.test('pipelining is no way around', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_LOGIN: '10' })
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const one = 'POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
  const last = 'GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  const answers = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(one.repeat(30) + last))
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text)).on('error', reject)
  })
  const statuses = [...answers.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => Number(status))
  t.same(statuses, [...Array(10).fill(400), ...Array(20).fill(429), 200], 'each answered, in order')
})

function statusOf(answer: string | { statusCode: number }): number {
  return typeof answer === 'string' ? JSON.parse(answer)[0] : answer.statusCode
}
