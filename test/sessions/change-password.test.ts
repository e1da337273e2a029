import t from 'tap'
import { MAX_FOREIGN_REPEATS } from '../../src/sessions/judge-refresh.ts'
import { bearer, PASSWORD } from '../support/app.ts'
import { claimsOf, refresh, refreshed, serverAt, signUp, type Tokens } from '../support/front-door.ts'
import { send } from '../support/oauth.ts'
import { call, standing } from '../support/people.ts'

// The session in which a new password is set gets new tokens. The rules of passwords: test/accounts/own-account.test.ts

const server = await serverAt(t, 1_800_000_000)
const { app, database, now, pass } = server

const GOOD = [200, undefined]
const NEXT = 'a new horse battery staple'

const changePassword = ({ access_token: access }: { access_token: string }) =>
  call(app, access, 'PUT', '/v1/me/password', { current_password: PASSWORD, new_password: NEXT })
const loginStatus = async (email: string, password: string) =>
  (await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password } })).statusCode

function beforeTheNextTransaction(act: () => PromiseLike<unknown>): void {
  const transaction = database.transaction.bind(database)
  database.transaction = async (statements, notify) => {
    database.transaction = transaction
    await act()
    return transaction(statements, notify)
  }
}

t.test('the session that goes on gets a new refresh token, and an older one ends nothing', async (t) => {
  const person = await signUp(app)
  const older = [person, await refreshed(app, person)]
  const changed = await changePassword(person)
  t.equal(changed.headers['cache-control'], 'no-store')
  t.equal(changed.headers['set-cookie'], undefined)
  const now = changed.json()
  t.same(Object.keys(now).sort(), ['access_token', 'expires_in', 'refresh_token', 'scope', 'token_type'])
  const claims = ({ access_token }: { access_token: string }) => claimsOf({ access_token })
  t.match(claims(now), {
    sub: person.id,
    sid: claims(person).sid,
    auth_time: claims(person).auth_time,
    token_version: 1,
  })
  for (const { refresh_token } of [...older, ...older]) {
    const refused = await refresh(app, { refresh_token })
    t.match(refused.json(), { status: 401, code: 'invalid_refresh_token' })
    t.equal((await send(app, 'revoke', { token: refresh_token, client_id: 'signet' })).statusCode, 200)
  }
  t.same(await standing(app, now.access_token), GOOD, 'a thief who holds one logs nobody out')
  const next = await refreshed(app, now)
  t.equal((await refreshed(app, now)).refresh_token, next.refresh_token, 'the new one rotates like any other')
})

t.test('the new refresh token comes in the cookie when this session uses one', async (t) => {
  const { email } = await signUp(app)
  const credentials = { email, password: PASSWORD, transport: 'cookie' }
  const browser = async () => {
    const reply = await app.inject({ method: 'POST', url: '/v1/login', payload: credentials })
    return {
      access: reply.json().access_token as string,
      cookie: String(reply.headers['set-cookie']).split(';')[0] ?? '',
    }
  }
  const [own, other] = [await browser(), await browser()]
  const put = (cookie: string, current_password: string, new_password: string, headers: object = {}) =>
    app.inject({
      method: 'PUT',
      url: '/v1/me/password',
      headers: { ...bearer(own.access), cookie, 'sec-fetch-site': 'same-origin', ...headers },
      payload: { current_password, new_password },
    })
  t.match((await put(own.cookie, PASSWORD, NEXT, { 'sec-fetch-site': 'cross-site' })).json(), {
    code: 'cross_site_request',
  })

  const changed = await put(own.cookie, PASSWORD, NEXT)
  t.same(Object.keys(changed.json()).sort(), ['access_token', 'expires_in', 'scope', 'token_type'])
  const cookie = String(changed.headers['set-cookie'])
  t.match(cookie, /^signet_refresh=srt_[\w-]{80};.*HttpOnly/)
  t.notOk(own.cookie === cookie.split(';')[0])
  const kept = cookie.split(';')[0] ?? ''
  const refreshing = await app.inject({
    method: 'POST',
    url: '/v1/refresh',
    headers: { cookie: kept, 'sec-fetch-site': 'same-origin' },
    payload: {},
  })
  t.equal(refreshing.statusCode, 200)

  for (const [name, cookie] of Object.entries({
    'the cookie of another session': other.cookie,
    'a text in its place': 'signet_refresh=x',
    none: '',
    'twice the own one': `${kept}; ${kept}`,
  })) {
    const reply = await put(cookie, NEXT, PASSWORD)
    t.match(reply.json(), { status: 403, code: 'refresh_cookie_missing' }, name)
    t.equal(reply.headers['set-cookie'], undefined, `${name}: the cookie of the browser stays`)
  }
  t.equal((await put(kept, NEXT, PASSWORD)).statusCode, 200, 'nothing was changed by these')
})

t.test(
  'a session that has its refresh token from a body gets the next one in the body, whatever cookie is there',
  async (t) => {
    const person = await signUp(app)
    const cookies = await app.inject({
      method: 'POST',
      url: '/v1/login',
      payload: { email: person.email, password: PASSWORD, transport: 'cookie' },
    })
    const changed = await app.inject({
      method: 'PUT',
      url: '/v1/me/password',
      headers: {
        ...bearer(person.access_token),
        cookie: String(cookies.headers['set-cookie']).split(';')[0] ?? '',
        'sec-fetch-site': 'same-origin',
      },
      payload: { current_password: PASSWORD, new_password: NEXT },
    })
    t.equal(changed.headers['set-cookie'], undefined, 'a cookie of another session stays')
    t.match(changed.json().refresh_token, /^srt_/)
  },
)

t.test(
  'a cookie session whose login is no longer in the trail, or of an earlier release, is answered as before',
  async (t) => {
    const { email } = await signUp(app)
    const payload = { email, password: PASSWORD, transport: 'cookie' }
    const reply = await app.inject({ method: 'POST', url: '/v1/login', payload })
    const { sid } = claimsOf(reply.json())
    await database.query("UPDATE audit_events SET detail = '{}' WHERE session_id = $1", [sid])
    t.match((await changePassword(reply.json())).json().refresh_token, /^srt_/)
  },
)

t.test('a session that ends while its password is changed changes nothing', async (t) => {
  const person = await signUp(app)
  beforeTheNextTransaction(() => call(app, person.access_token, 'POST', '/v1/logout', {}))
  t.match((await changePassword(person)).json(), { status: 401, code: 'invalid_token' })
  t.equal(await loginStatus(person.email, PASSWORD), 200)
  t.equal(await loginStatus(person.email, NEXT), 401)
})

t.test('a thief who is found while the password is changed logs nobody out', async (t) => {
  const person = await signUp(app)
  await refreshed(app, person)
  pass(60)
  let changed: Tokens | undefined
  beforeTheNextTransaction(async () => {
    changed = (await changePassword(person)).json()
  })
  t.equal((await refresh(app, person, { userAgent: 'Thief/6.6' })).statusCode, 401)
  t.same(await standing(app, changed?.access_token ?? ''), GOOD)
  t.equal((await refresh(app, changed as Tokens)).statusCode, 200)
})

t.test('the session starts anew: its token is of this second, and nobody has repeated it', async (t) => {
  let person: Tokens = await signUp(app)
  for (let round = 1; round < MAX_FOREIGN_REPEATS; round += 1) {
    pass(60)
    const next = await refreshed(app, person)
    await refreshed(app, person, { ip: '203.0.113.9' })
    person = next
  }
  pass(60)
  const changed: Tokens = (await changePassword(person)).json()
  const sql = 'SELECT rotated_at, last_used_at, foreign_repeats FROM sessions WHERE id = $1'
  const rows = await database.query(sql, [claimsOf(changed).sid])
  t.same(rows, [{ rotated_at: now(), last_used_at: now(), foreign_repeats: 0 }])
})
