import { connect } from 'node:net'
import t from 'tap'
import { ROUTE_LIMITS } from '../../src/limits/limiter.ts'
import { bearer, PASSWORD, startApp } from '../support/app.ts'
import { post, refresh, signUp, type User } from '../support/front-door.ts'
import { limited } from '../support/limited-server.ts'

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

t.test('0 is no limit, and nothing is said of one', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_LOGIN: '0' })
  const { statusCode, headers } = await post(app, '/v1/login', {})
  t.equal(statusCode, 400)
  t.same(
    Object.keys(headers).filter((name) => /ratelimit/.test(name)),
    [],
  )
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
  t.equal((await change(user, '192.0.2.3')).statusCode, 429, 'by session, from wherever')
  t.equal((await change(other, '192.0.2.3')).statusCode, 400)
  t.equal((await app.inject({ url: '/v1/me', headers: bearer(user.access_token) })).statusCode, 200)
})

t.test('many accounts of one network share its quota of password changes', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_PASSWORD_CHANGE_PER_NETWORK: '2' })
  const passwords = { current_password: PASSWORD, new_password: 'short' }
  const change = async (user: User, ip: string) =>
    app.inject({
      method: 'PUT',
      url: '/v1/me/password',
      headers: bearer(user.access_token),
      remoteAddress: ip,
      payload: passwords,
    })
  const users = [await signUp(app), await signUp(app), await signUp(app)] as const
  t.equal((await change(users[0], '192.0.2.1')).statusCode, 422)
  t.equal((await change(users[1], '192.0.2.1')).statusCode, 422)
  t.match(await change(users[2], '192.0.2.1'), { statusCode: 429, headers: { 'retry-after': '30' } })
  t.equal((await change(users[2], '192.0.2.2')).statusCode, 422)
})

t.test('routes that ask the store share a quota of the network, spent before the store is asked', async (t) => {
  const { app, database, pass } = await limited(t, { RATE_LIMIT_STORE: '3' })
  const user = await signUp(app)
  const other = await signUp(app)
  let asked = 0
  const { query } = database
  database.query = ((...args: Parameters<typeof query>) => {
    asked += 1
    return query.apply(database, args)
  }) as typeof query
  const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, { access_token }: User = user, ip = '192.0.2.1') =>
    app.inject({ method, url, headers: bearer(access_token), remoteAddress: ip })
  t.equal((await ask('GET', '/v1/sessions')).statusCode, 200)
  t.equal((await ask('GET', '/v1/sessions', other)).statusCode, 200)
  t.equal((await ask('DELETE', '/v1/sessions/nothing')).statusCode, 404)
  asked = 0
  for (const [method, url] of [
    ['GET', '/v1/sessions'],
    ['POST', '/v1/logout'],
    ['DELETE', '/v1/me'],
  ] as const)
    t.match(await ask(method, url), { statusCode: 429, headers: { 'retry-after': '20' } }, url)
  t.equal(asked, 0)
  t.equal((await ask('GET', '/v1/me')).statusCode, 200, 'what asks no store has no limit')
  t.equal((await ask('GET', '/v1/sessions', user, '192.0.2.2')).statusCode, 200)
  pass(20)
  t.equal((await ask('POST', '/v1/logout')).statusCode, 204)
})

t.test('the OAuth routes have theirs, in the words of OAuth', async (t) => {
  const { app } = await limited(t, { RATE_LIMIT_TOKEN: '1', RATE_LIMIT_INTROSPECT: '2' })
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
  const asked = []
  for (let i = 0; i < 3; i += 1) asked.push((await ask('/oauth/introspect')).json().error)
  t.same(asked, ['invalid_request', 'invalid_request', 'too_many_requests'], 'introspection has its own')
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
  const late = await refresh(app, user, { userAgent: 'another' })
  t.equal(late.statusCode, 401, 'the limit does not stretch the grace')

  const again = (ip: string, email: string) => post(app, '/v1/accounts', { email, password: PASSWORD }, { ip })
  t.equal((await again('192.0.2.1', 'ada@example.com')).statusCode, 201)
  t.equal((await again('192.0.2.2', 'ADA@example.com')).statusCode, 409)
  t.equal((await again('192.0.2.3', ' ada@EXAMPLE.com')).statusCode, 429)
})

t.test('limits tell neither the email nor the password to the log', async (t) => {
  const { app, log } = await limited(t, { RATE_LIMIT_LOGIN: '1' })
  for (let i = 0; i < 3; i += 1)
    await post(app, '/v1/login', { email: 'ada@example.com', password: 'not the password of anybody' })
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
