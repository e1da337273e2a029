import t from 'tap'
import { anotherNode } from '../support/another-node.ts'
import { bearer, PASSWORD } from '../support/app.ts'
import { logIn, post, publicPart, signUp } from '../support/front-door.ts'
import { limited } from '../support/limited-server.ts'

const WRONG = 'not the password of anybody'

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
  const { 'ratelimit-remaining': _a, 'ratelimit-reset': _b, date: _c, ...headers } = nobodys.headers
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

  const { anotherNode } = await import('../support/another-node.ts')
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

t.test('a password that could not be judged counts as no failure', async (t) => {
  const server = await limited(t, { LOGIN_FREE_FAILURES: '2' })
  const user = await signUp(server.app)
  const { app, link } = await anotherNode(t, server)
  link.cut = true
  const login = () => post(app, '/v1/login', { email: user.email, password: PASSWORD })
  for (let i = 0; i < 4; i += 1) t.equal((await login()).json().code, 'store_unavailable')
  link.cut = false
  t.equal((await login()).statusCode, 200)
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
  t.equal((await change(PASSWORD, '192.0.2.200')).statusCode, 200, 'the owner at home')
})

t.test('the current password can not be guessed from many networks with a stolen token', async (t) => {
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

t.test(
  'a password that is refused unseen is in the trail: a row each, up to a bound, then only a log line',
  async (t) => {
    const { app, database, log } = await limited(t, { RATE_LIMIT_LOGIN: '0', RATE_LIMIT_PASSWORD_CHANGE: '0' })
    const user = await signUp(app, { ip: '192.0.2.200' })
    const guess = (email: string) => post(app, '/v1/login', { email, password: WRONG }, { ip: '192.0.2.1' })
    const change = () =>
      app.inject({
        method: 'PUT',
        url: '/v1/me/password',
        headers: bearer(user.access_token),
        remoteAddress: '192.0.2.1',
        payload: { current_password: WRONG, new_password: 'another horse battery staple' },
      })
    const trail = () =>
      database.query("SELECT event, account_id, ip, session_id FROM audit_events WHERE event LIKE '%throttled'")

    for (let i = 0; i < 5; i += 1) for (const email of [user.email, 'nobody@example.com']) await guess(email)
    t.same(await trail(), [])
    for (const email of [user.email, 'nobody@example.com']) t.equal((await guess(email)).statusCode, 429)
    for (let i = 0; i < 6; i += 1) await change()
    const { sid } = JSON.parse(Buffer.from(user.access_token.split('.')[1] ?? '', 'base64url').toString())
    const ip = '192.0.2.1'
    t.same(await trail(), [
      { event: 'login_throttled', account_id: user.id, ip, session_id: null },
      { event: 'login_throttled', account_id: null, ip, session_id: null },
      { event: 'password_change_throttled', account_id: user.id, ip, session_id: sid },
    ])
    log.length = 0
    for (let i = 0; i < 70; i += 1) t.equal((await guess(user.email)).statusCode, 429)
    t.equal((await trail()).length, 60)
    t.equal(log.filter((line) => JSON.parse(line).event === 'login_throttled').length, 70)
  },
)

t.test('a refused guess is not hashed: it is answered while the gate is full', async (t) => {
  const { app } = await limited(t, { PASSWORD_QUEUE: '1', RATE_LIMIT_LOGIN: '0' })
  const guess = (email: string) => post(app, '/v1/login', { email, password: WRONG })
  for (let i = 0; i < 5; i += 1) t.equal((await guess('ada@example.com')).statusCode, 401)
  const burst = await Promise.all(Array.from({ length: 10 }, () => guess('ada@example.com')))
  t.same(new Set(burst.map(statusOf)), new Set([429]))
})

function statusOf(answer: string | { statusCode: number }): number {
  return typeof answer === 'string' ? JSON.parse(answer)[0] : answer.statusCode
}
