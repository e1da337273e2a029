import t from 'tap'
import { bearer } from '../support/app.ts'
import {
  claimsOf,
  logIn,
  post,
  refreshed,
  refreshVerdict,
  serverAt,
  signUp,
  type Tokens,
  verdict,
} from '../support/front-door.ts'

// Where am I logged in, and how do I end it.

const server = await serverAt(t, 1_800_000_000, { SESSION_IDLE_TTL: '300' })
const { app, database, log, now, pass } = server

const logOut = ({ access_token: token }: Tokens, body: object = {}) => post(app, '/v1/logout', body, { token })
const list = async ({ access_token }: Tokens) =>
  (await app.inject({ url: '/v1/sessions', headers: bearer(access_token) })).json().sessions
const end = ({ access_token }: Tokens, id: string) =>
  app.inject({ method: 'DELETE', url: `/v1/sessions/${encodeURIComponent(id)}`, headers: bearer(access_token) })

/** Which tokens of a session are accepted right after a logout. */
async function state(tokens: Tokens): Promise<string> {
  const verdicts = `${await verdict(app, tokens)} ${await refreshVerdict(app, tokens)}`
  return { 'good good': 'live', 'invalid_token invalid_refresh_token': 'over' }[verdicts] ?? verdicts
}

/** An account with three sessions, and somebody else. */
async function people(): Promise<{ here: Tokens; there: Tokens; elsewhere: Tokens; stranger: Tokens }> {
  const here = await signUp(app)
  const [there, elsewhere] = [await logIn(app, here.email), await logIn(app, here.email)]
  return { here, there, elsewhere, stranger: await signUp(app) }
}

const SCOPES = [
  { body: {}, ended: ['here'] },
  { body: { scope: 'session' }, ended: ['here'] },
  { body: { scope: 'others' }, ended: ['there', 'elsewhere'] },
  { body: { scope: 'all' }, ended: ['here', 'there', 'elsewhere'] },
]

for (const { body, ended } of SCOPES) {
  t.test(`a logout with ${JSON.stringify(body)} ends ${ended} at once, and nothing else`, async (t) => {
    const all = await people()
    const reply = await logOut(all.here, body)
    t.equal(reply.statusCode, 204)
    t.equal(reply.body, '')
    for (const [name, tokens] of Object.entries(all)) {
      t.equal(await state(tokens), ended.includes(name) ? 'over' : 'live', name)
    }
  })
}

t.test('a logout ends every token that the session ever had, and those of a refresh on its way', async (t) => {
  const first = await signUp(app)
  const second = await refreshed(app, first)
  const repeat = await refreshed(app, first)
  t.equal((await logOut(first)).statusCode, 204)
  for (const tokens of [first, second, repeat]) t.equal(await state(tokens), 'over')
})

t.test('a logout without a body ends this session', async (t) => {
  const user = await signUp(app)
  const reply = await app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(user.access_token) })
  t.equal(reply.statusCode, 204)
  t.equal(await state(user), 'over')
})

t.test('a second logout is refused like any use of a token that is over', async (t) => {
  const user = await signUp(app)
  await logOut(user)
  const again = await logOut(user)
  t.equal(again.statusCode, 401)
  t.equal(again.json().code, 'invalid_token')
  t.match(again.headers['www-authenticate'], /^Bearer .*error="invalid_token"/)
})

t.test('a logout works on a session that was not used for too long, while its access token is alive', async (t) => {
  const user = await signUp(app)
  pass(400)
  t.equal(await verdict(app, user), 'good', 'the token lives for longer than an idle session here')
  t.equal((await logOut(user)).statusCode, 204)
  t.equal(await state(user), 'over')
})

t.test('a logout needs an access token, and a scope that there is', async (t) => {
  const user = await signUp(app)
  t.equal((await post(app, '/v1/logout', {})).json().code, 'missing_token')
  const byRefreshToken = await post(app, '/v1/logout', {}, { token: user.refresh_token })
  t.equal(byRefreshToken.json().code, 'invalid_token')
  for (const body of [
    { scope: 'everybody' },
    { scope: null },
    { scope: ['all'] },
    { sub: 'x' },
    { scope: 'all', sid: 'x' },
    [],
  ]) {
    t.equal((await logOut(user, body)).json().code, 'validation_failed', JSON.stringify(body))
  }
  t.equal(await state(user), 'live')
})

t.test('a logout leaves one audit row and one log line, and they show no token', async (t) => {
  const user = await signUp(app)
  const { sid } = claimsOf(user)
  log.length = 0
  await post(
    app,
    '/v1/logout',
    { scope: 'all' },
    { token: user.access_token, ip: '203.0.113.9', userAgent: 'Phone/1.0' },
  )
  const from = { ip: '203.0.113.9', user_agent: 'Phone/1.0' }
  const lines = log.map((line) => JSON.parse(line)).filter(({ event }) => event === 'logout')
  t.equal(lines.length, 1)
  t.match(lines[0], { level: 'info', account_id: user.id, session_id: sid, scope: 'all', ...from })
  const rows = await database.query("SELECT * FROM audit_events WHERE event = 'logout' AND session_id = $1", [sid])
  t.equal(rows.length, 1)
  t.match(rows[0], { at: now(), account_id: user.id, detail: '{"scope":"all"}', request_id: /./, ...from })
  t.notOk(log.join().includes(user.access_token.slice(-20)))
})

t.test('the list shows live sessions, the last used first, and which one asks', async (t) => {
  const phone = { ip: '203.0.113.1', userAgent: 'Phone/1.0' }
  const here = await signUp(app, phone)
  const created = now()
  pass(10)
  const ended = await logIn(app, here.email)
  pass(10)
  const other = await logIn(app, here.email, { ip: '2001:db8::1', userAgent: 'Laptop/1.0' })
  await logOut(ended)
  pass(10)
  const train = { ip: '198.51.100.1', userAgent: 'Phone/1.1' }
  const again = await refreshed(app, here, train)

  const sessions = await list(again)
  const time = (seconds: number) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
  t.same(
    sessions,
    [
      { id: claimsOf(here).sid, current: true, created: 0, used: 30, ip: train.ip, user_agent: train.userAgent },
      { id: claimsOf(other).sid, current: false, created: 20, used: 20, ip: '2001:db8::1', user_agent: 'Laptop/1.0' },
    ].map(({ id, current, created: after, used, ...from }) => ({
      id,
      current,
      client_id: 'signet',
      created_at: time(created + after),
      last_used_at: time(created + used),
      expires_at: time(created + used + 300),
      ...from,
    })),
  )
  t.same(
    (await list(other)).map(({ current }: { current: boolean }) => current),
    [false, true],
  )
})

t.test('a session that nobody used for too long is not listed', async (t) => {
  const first = await signUp(app)
  pass(299)
  const second = await logIn(app, first.email)
  t.equal((await list(second)).length, 2)
  pass(1)
  t.same(
    (await list(second)).map(({ id }: { id: string }) => id),
    [claimsOf(second).sid],
  )
})

t.test('one of my sessions is ended by its id, this one too', async (t) => {
  const { here, there, elsewhere } = await people()
  t.equal((await end(here, claimsOf(there).sid)).statusCode, 204)
  t.equal(await state(there), 'over')
  t.equal(await state(elsewhere), 'live')
  t.equal((await end(here, claimsOf(here).sid)).statusCode, 204)
  t.equal(await state(here), 'over')
  const [row] = await database.query("SELECT * FROM audit_events WHERE event = 'session_ended' AND session_id = $1", [
    claimsOf(there).sid,
  ])
  t.match(row, { account_id: claimsOf(here).sub })
})

t.test("another account's session, one that is over and one that never was are 404 alike", async (t) => {
  const { here, there, stranger } = await people()
  await end(here, claimsOf(there).sid)
  const ids = [claimsOf(stranger).sid, claimsOf(there).sid, 'A'.repeat(22), "' OR 1=1 --", '*', '%']
  const replies = await Promise.all(ids.map((id) => end(here, id)))
  for (const [index, reply] of replies.entries()) {
    t.equal(reply.statusCode, 404, ids[index])
    t.same({ ...reply.json(), request_id: '' }, { ...replies[0]?.json(), request_id: '' })
  }
  t.equal(await state(stranger), 'live')
  t.equal(await state(here), 'live')
})

t.test('sessions are shown and ended only for who holds an access token', async (t) => {
  for (const request of [{ url: '/v1/sessions' }, { url: '/v1/sessions/x', method: 'DELETE' } as const]) {
    t.equal((await app.inject(request)).json().code, 'missing_token')
  }
})
