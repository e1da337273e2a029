import t from 'tap'
import { PASSWORD } from '../support/app.ts'
import {
  logIn,
  post,
  refreshed,
  refreshVerdict,
  serverAt,
  signUp,
  type Tokens,
  verdict,
} from '../support/front-door.ts'

// A logout must not wait for a refresh: the refresh token, in the body or the cookie, says who it is.

const server = await serverAt(t, 1_800_000_000, { SESSION_IDLE_TTL: '300' })
const { app, pass } = server

/** A logout with a refresh token, for whom the access token is over. */
const byRefreshToken = (token: string, body: object = {}, access?: string) =>
  post(app, '/v1/logout', { ...body, refresh_token: token }, access === undefined ? {} : { token: access })

t.test('an access token that has expired does not keep anybody logged in', async (t) => {
  const user = await signUp(app)
  const other = await logIn(app, user.email)
  pass(250)
  const fresh = await refreshed(app, user)
  const third = await refreshed(app, other)
  pass(250)
  const late = await refreshed(app, fresh)
  pass(200)
  t.equal((await post(app, '/v1/logout', {}, { token: user.access_token })).json().code, 'token_expired')
  t.equal((await byRefreshToken(late.refresh_token, {}, user.access_token)).statusCode, 204)
  t.equal(await refreshVerdict(app, late), 'invalid_refresh_token')
  t.equal((await byRefreshToken(late.refresh_token)).statusCode, 204, 'a second time there is nothing to end')
  for (const scope of ['others', 'all'])
    t.equal((await byRefreshToken(late.refresh_token, { scope })).json().code, 'invalid_refresh_token')
  t.equal((await byRefreshToken('srt_forged')).json().code, 'invalid_refresh_token')
  t.equal((await byRefreshToken('srt_forged', { scope: 'all' })).json().code, 'invalid_refresh_token')
  t.not(await refreshVerdict(app, third), 'good', 'idle for too long')
})

const isLive = async (tokens: Tokens) =>
  (await verdict(app, tokens)) === 'good' && (await refreshVerdict(app, tokens)) === 'good'

for (const [scope, here, there] of [
  ['session', false, true],
  ['others', true, false],
  ['all', false, false],
] as const) {
  t.test(`a refresh token ends ${scope} as an access token does`, async (t) => {
    const user = await signUp(app)
    const [other, stranger] = [await logIn(app, user.email), await signUp(app)]
    t.equal((await byRefreshToken(user.refresh_token, { scope })).statusCode, 204)
    t.same(await Promise.all([user, other, stranger].map(isLive)), [here, there, true])
  })
}

t.test('a copy from long ago ends its own session as at a refresh, and no other', async (t) => {
  const user = await signUp(app)
  const other = await logIn(app, user.email)
  const next = await refreshed(app, user)
  pass(20)
  const current = await refreshed(app, next)
  pass(20)
  t.equal((await byRefreshToken(user.refresh_token, { scope: 'others' })).json().code, 'invalid_refresh_token')
  t.same([await isLive(current), await isLive(other)], [false, true])
})

t.test('a good access token says who logs out, whatever refresh token comes with it', async (t) => {
  const [user, stranger] = [await signUp(app), await signUp(app)]
  t.equal((await byRefreshToken(stranger.refresh_token, {}, user.access_token)).statusCode, 204)
  t.same(await Promise.all([user, stranger].map(isLive)), [false, true])
})

t.test('the cookie alone logs out, from this site only, and goes', async (t) => {
  const { email } = await signUp(app)
  const payload = { email, password: PASSWORD, transport: 'cookie' }
  const login = await app.inject({ method: 'POST', url: '/v1/login', payload })
  const cookie = String(login.headers['set-cookie']).split(';')[0] ?? ''
  const logout = (headers: Record<string, string>, body: object = {}) =>
    app.inject({ method: 'POST', url: '/v1/logout', headers: { cookie, ...headers }, payload: body })
  const renew = () =>
    app.inject({
      method: 'POST',
      url: '/v1/refresh',
      headers: { cookie, 'sec-fetch-site': 'same-origin' },
      payload: {},
    })
  for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }, {}])
    t.equal((await logout(headers as Record<string, string>)).json().code, 'cross_site_request')
  const twice = await logout({ cookie: `${cookie}; ${cookie}`, 'sec-fetch-site': 'same-origin' })
  t.equal(twice.json().code, 'missing_token')
  t.match(twice.headers['set-cookie'], /Max-Age=0|Expires=Thu, 01 Jan 1970/)
  t.equal((await renew()).statusCode, 200)
  const done = await logout({ 'sec-fetch-site': 'same-origin' })
  t.equal(done.statusCode, 204)
  t.match(done.headers['set-cookie'], /Max-Age=0|Expires=Thu, 01 Jan 1970/)
  t.equal((await renew()).statusCode, 401)
})
