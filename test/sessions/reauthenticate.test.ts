import t from 'tap'
import { bearer, PASSWORD } from '../support/app.ts'
import { claimsOf, refresh, refreshed, serverAt, signUp, type Tokens } from '../support/front-door.ts'
import { call, standing } from '../support/people.ts'

// Step-up (RFC 9470): the person shows the password again, and the same session counts as a fresh login.

const server = await serverAt(t, 1_800_000_000)
const { app, database, now, pass } = server

const reauthenticate = ({ access_token: access }: { access_token: string }, body: object = { password: PASSWORD }) =>
  call(app, access, 'POST', '/v1/reauthenticate', body)
const removal = ({ access_token: access }: { access_token: string }) => call(app, access, 'DELETE', '/v1/me')
const rows = async (event: string, sid: unknown) =>
  (await database.query('SELECT * FROM audit_events WHERE event = $1 AND session_id = $2', [event, String(sid)])).length

t.test('the same session gets a login of now, and the challenge of a route is answered', async (t) => {
  const person = await signUp(app)
  const { sid, auth_time: before } = claimsOf(person)
  pass(301)
  t.match((await removal(person)).json(), { status: 401, code: 'insufficient_user_authentication' })

  const reply = await reauthenticate(person)
  t.equal(reply.statusCode, 200)
  t.equal(reply.headers['cache-control'], 'no-store')
  const renewed: Tokens = reply.json()
  t.match(claimsOf(renewed), { sub: person.id, sid, auth_time: now() })
  t.not(before, now())
  t.same(await standing(app, person.access_token), [200, undefined], 'the access token in hand goes on')
  t.equal(claimsOf(await refreshed(app, renewed)).auth_time, now(), 'and so does what follows')
  t.equal(await rows('reauthenticated', sid), 1)
  pass(10)
  t.equal((await removal(renewed)).statusCode, 204)
})

t.test('older refresh tokens of the session are dead, and end nothing', async (t) => {
  const person = await signUp(app)
  const renewed: Tokens = (await reauthenticate(person)).json()
  const refused = await refresh(app, person)
  t.match(refused.json(), { status: 401, code: 'invalid_refresh_token' })
  t.same(await standing(app, renewed.access_token), [200, undefined])
})

t.test('asked twice at once, both answers hold the same refresh token', async (t) => {
  const person = await signUp(app)
  const replies = await Promise.all([reauthenticate(person), reauthenticate(person)])
  const [one, other] = replies.map((reply) => reply.json() as Tokens)
  t.equal(one?.refresh_token, other?.refresh_token)
  const next = await refreshed(app, one as Tokens)
  t.equal(claimsOf(next).auth_time, now())
  pass(60)
  const later: Tokens = (await reauthenticate(next)).json()
  t.not(later.refresh_token, next.refresh_token)
  t.equal((await refresh(app, next)).statusCode, 401, 'the older one is dead')
})

t.test('without a grace nobody gets the same refresh token twice', async (t) => {
  const strict = await serverAt(t, 1_800_000_000, { REFRESH_GRACE: '0' })
  const person = await signUp(strict.app)
  const confirm = async () =>
    (await call(strict.app, person.access_token, 'POST', '/v1/reauthenticate', { password: PASSWORD })).json()
  t.not((await confirm()).refresh_token, (await confirm()).refresh_token)
})

t.test('a wrong password changes nothing, and is in the audit trail', async (t) => {
  const person = await signUp(app)
  const { sid } = claimsOf(person)
  const wrong = await reauthenticate(person, { password: `${PASSWORD}!` })
  t.match(wrong.json(), { status: 401, code: 'invalid_credentials' })
  t.equal((await refresh(app, person)).statusCode, 200)
  t.equal(await rows('reauthentication_failed', sid), 1)
  t.equal(await rows('reauthenticated', sid), 0)
  for (const body of [{}, { password: '' }, { password: 1 }, { password: PASSWORD, max_age: 1 }, []])
    t.equal((await reauthenticate(person, body)).json().code, 'validation_failed', JSON.stringify(body))
  const anonymous = await app.inject({ method: 'POST', url: '/v1/reauthenticate', payload: { password: PASSWORD } })
  t.equal(anonymous.json().code, 'missing_token')
})

t.test('a session that ends meanwhile stays ended', async (t) => {
  const person = await signUp(app)
  const transaction = database.transaction.bind(database)
  database.transaction = async (statements, notify) => {
    database.transaction = transaction
    await call(app, person.access_token, 'POST', '/v1/logout', {})
    return transaction(statements, notify)
  }
  t.match((await reauthenticate(person)).json(), { status: 401, code: 'invalid_token' })
  t.equal(await rows('reauthenticated', claimsOf(person).sid), 0)
})

t.test('with the cookie of this session the new refresh token comes in the cookie', async (t) => {
  const { email } = await signUp(app)
  const credentials = { email, password: PASSWORD, transport: 'cookie' }
  const login = await app.inject({ method: 'POST', url: '/v1/login', payload: credentials })
  const cookie = String(login.headers['set-cookie']).split(';')[0] ?? ''
  const confirm = (site: string, cookie?: string) =>
    app.inject({
      method: 'POST',
      url: '/v1/reauthenticate',
      headers: { ...bearer(login.json().access_token), ...(cookie && { cookie }), 'sec-fetch-site': site },
      payload: { password: PASSWORD },
    })
  t.equal((await confirm('cross-site', cookie)).json().code, 'cross_site_request')
  t.match((await confirm('same-origin')).json(), { status: 403, code: 'refresh_cookie_missing' })
  const reply = await confirm('same-origin', cookie)
  t.equal(reply.json().refresh_token, undefined)
  t.match(reply.headers['set-cookie'], /^signet_refresh=srt_/)
})

t.test('wrong passwords are throttled as at the login', async (t) => {
  const limited = await serverAt(t, 1_800_000_000, { LOGIN_FREE_FAILURES: '2', RATE_LIMIT_PASSWORD_CHANGE: '4' })
  const person = await signUp(limited.app)
  const confirm = (password: string) =>
    call(limited.app, person.access_token, 'POST', '/v1/reauthenticate', { password })
  for (const code of ['invalid_credentials', 'invalid_credentials', 'too_many_requests'])
    t.equal((await confirm('wrong')).json().code, code)
  const [row] = await limited.database.query(
    "SELECT session_id FROM audit_events WHERE event = 'reauthentication_throttled'",
  )
  t.equal(row?.session_id, claimsOf(person).sid)
  limited.pass(60)
  for (const status of [200, 200, 200, 200, 429]) t.equal((await confirm(PASSWORD)).statusCode, status)
})
