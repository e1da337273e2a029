import t from 'tap'
import { bearer, PASSWORD } from '../support/app.ts'
import {
  administer,
  claimsOf,
  logIn,
  refreshed,
  refreshVerdict,
  serverAt,
  signUp,
  signUpAdmin,
  type Tokens,
  verdict,
} from '../support/front-door.ts'

// How long a session lives, and what it learns at each refresh.

const START = 1_800_000_000

t.test('a session that is not used for the idle time is over, and every refresh begins that time anew', async (t) => {
  const { app, config, pass } = await serverAt(t, START, { SESSION_IDLE_TTL: '1000' })
  t.equal(config.SESSION_IDLE_TTL, 1000)
  let tokens: Tokens = await signUp(app)
  for (const _use of [1, 2, 3]) {
    pass(999)
    tokens = await refreshed(app, tokens)
  }
  pass(1000)
  t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token')
})

t.test('a repeat does not make a session live longer', async (t) => {
  const { app, pass } = await serverAt(t, START, { SESSION_IDLE_TTL: '300', REFRESH_GRACE: '60' })
  const first = await signUp(app)
  const second = await refreshed(app, first)
  pass(60)
  await refreshed(app, first)
  pass(240)
  t.equal(await refreshVerdict(app, second), 'invalid_refresh_token')
})

t.test('a session is over when its longest time is, however much it is used', async (t) => {
  const { app, pass } = await serverAt(t, START, { SESSION_IDLE_TTL: '1000', SESSION_MAX_TTL: '2500' })
  let tokens: Tokens = await signUp(app)
  for (const seconds of [900, 900, 699]) {
    pass(seconds)
    tokens = await refreshed(app, tokens)
  }
  const listed = await app.inject({ url: '/v1/sessions', headers: bearer(tokens.access_token) })
  t.equal(Date.parse(listed.json().sessions[0].expires_at) / 1000, START + 2500)
  pass(1)
  t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token')
})

t.test(
  'an expired session can not be ended by its id, and a logout from everywhere withdraws its last token',
  async (t) => {
    const { app, pass } = await serverAt(t, START, { SESSION_IDLE_TTL: '300' })
    const idle = await signUp(app)
    const end = async (by: Tokens) => {
      const url = `/v1/sessions/${claimsOf(idle).sid}`
      return (await app.inject({ method: 'DELETE', url, headers: bearer(by.access_token) })).statusCode
    }
    pass(299)
    const other = await logIn(app, idle.email)
    pass(1)
    t.equal(await end(other), 404)
    t.equal(await verdict(app, idle), 'good', 'its access token outlives it, as it says')
    const everywhere = {
      method: 'POST',
      url: '/v1/logout',
      payload: { scope: 'all' },
      headers: bearer(other.access_token),
    }
    t.equal((await app.inject(everywhere as { method: 'POST' })).statusCode, 204)
    t.equal(await verdict(app, idle), 'invalid_token')
  },
)

t.test('an idle time above the longest time is cut at the login already', async (t) => {
  const { app, pass } = await serverAt(t, START, { SESSION_IDLE_TTL: '5000', SESSION_MAX_TTL: '300' })
  const user = await signUp(app)
  pass(300)
  t.equal(await refreshVerdict(app, user), 'invalid_refresh_token')
})

t.test('auth_time stays that of the login through every refresh', async (t) => {
  const { app, pass } = await serverAt(t, START)
  let tokens: Tokens = await signUp(app)
  for (const seconds of [1, 1000, 1_000_000]) {
    pass(seconds)
    tokens = await refreshed(app, tokens)
    t.equal(claimsOf(tokens).auth_time, START)
  }
  t.equal(claimsOf(await refreshed(app, tokens)).auth_time, START)
})

t.test('a change of roles makes tokens stale, and one refresh goes on with the new ones', async (t) => {
  const server = await serverAt(t, START)
  const { app } = server
  const admin = await signUpAdmin(server)
  const user = await signUp(app)
  for (const roles of [['editor'], ['editor', 'auditor'], []]) {
    const before = await refreshed(app, await logIn(app, user.email))
    t.equal((await administer(app, admin, user.id, { roles })).statusCode, 200)
    t.equal(await verdict(app, before), 'token_stale')
    const after = await refreshed(app, before)
    t.same(claimsOf(after).roles ?? [], roles)
    t.equal(claimsOf(after).token_version, claimsOf(before).token_version + 1)
    t.equal(claimsOf(after).sid, claimsOf(before).sid, 'still the same login')
    t.equal(await verdict(app, after), 'good', 'though it is of the same second as the change')
  }
})

t.test('a suspended account is out at once, and an activation gives it no old session back', async (t) => {
  const server = await serverAt(t, START)
  const { app } = server
  const admin = await signUpAdmin(server)
  const user = await signUp(app)
  const other = await logIn(app, user.email)
  const expectOut = async (when: string) => {
    for (const tokens of [user, other]) {
      t.not(await verdict(app, tokens), 'good', when)
      t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token', when)
    }
  }
  t.equal((await administer(app, admin, user.id, { status: 'suspended' })).statusCode, 200)
  await expectOut('suspended')
  t.equal((await administer(app, admin, user.id, { status: 'active' })).statusCode, 200)
  await expectOut('active again')
  t.equal(await verdict(app, await logIn(app, user.email)), 'good')
  t.equal(await verdict(app, admin), 'good')
})

t.test('the sessions of an account that deletes itself are over', async (t) => {
  const { app } = await serverAt(t, START)
  const user = await signUp(app)
  const other = await logIn(app, user.email)
  const reply = await app.inject({ method: 'DELETE', url: '/v1/me', headers: bearer(user.access_token) })
  t.equal(reply.statusCode, 204)
  for (const tokens of [user, other]) {
    t.equal(await verdict(app, tokens), 'invalid_token')
    t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token')
  }
})

t.test('a new password ends every other session, and this one goes on', async (t) => {
  const { app } = await serverAt(t, START)
  const user = await signUp(app)
  const other = await logIn(app, user.email)
  const payload = { current_password: PASSWORD, new_password: 'another battery, another staple' }
  const headers = bearer(user.access_token)
  const changed = await app.inject({ method: 'PUT', url: '/v1/me/password', payload, headers })
  t.equal(changed.statusCode, 200)
  t.equal(await verdict(app, other), 'invalid_token')
  t.equal(await refreshVerdict(app, other), 'invalid_refresh_token')
  t.equal(await verdict(app, user), 'good')
  t.equal(await refreshVerdict(app, user), 'invalid_refresh_token')
  t.equal(await refreshVerdict(app, changed.json()), 'good')
})

t.test('one login above the limit ends the session that was unused for longest', async (t) => {
  const { app, pass } = await serverAt(t, START, { MAX_SESSIONS_PER_ACCOUNT: '3' })
  const somebodyElse = await signUp(app)
  const first = await signUp(app)
  const logInLater = () => {
    pass(10)
    return logIn(app, first.email)
  }
  const [second, third] = [await logInLater(), await logInLater()]
  pass(10)
  const firstAgain = await refreshed(app, first)
  const fourth = await logInLater()
  t.equal(await verdict(app, second), 'invalid_token', 'the second was unused for longest')
  t.equal(await refreshVerdict(app, second), 'invalid_refresh_token')
  const fifth = await logInLater()
  t.equal(await verdict(app, third), 'invalid_token', 'then the third')
  for (const tokens of [firstAgain, fourth, fifth, somebodyElse]) {
    t.equal(await verdict(app, tokens), 'good')
    t.equal(await refreshVerdict(app, tokens), 'good')
  }
})

t.test('with a limit of one every login ends the one before', async (t) => {
  const { app } = await serverAt(t, START, { MAX_SESSIONS_PER_ACCOUNT: '1' })
  let tokens: Tokens & { email: string } = await signUp(app)
  for (const _login of [1, 2, 3]) {
    const next = await logIn(app, tokens.email)
    t.equal(await verdict(app, tokens), 'invalid_token', 'also within one second')
    t.equal(await verdict(app, next), 'good')
    tokens = { ...tokens, ...next }
  }
})
