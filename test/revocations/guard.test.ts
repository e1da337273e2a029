import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { anotherNode } from '../support/another-node.ts'
import { startApp, type TestServer } from '../support/app.ts'
import { logIn, refreshed, signUp, signUpAdmin, type User } from '../support/front-door.ts'
import { call, standing, withRoles } from '../support/people.ts'

const GOOD = [200, undefined]
const REVOKED = [401, 'invalid_token']
const STALE = [401, 'token_stale']

const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** Its clock stands still: everything in these tests happens in one and the same second. */
const second = Math.floor(Date.now() / 1000)
const started = await startApp(t, { now: () => second })
const admin = await signUpAdmin(started)
const server = { ...started, admin }
const { app } = server

t.test('a role change makes older tokens stale: one refresh, and the client goes on with the new roles', async (t) => {
  const person = await signUp(app)
  const elsewhere = await logIn(app, person.email)
  t.same(await standing(app, person.access_token), GOOD, 'verified, and in the cache from now on')
  const url = `/v1/admin/accounts/${person.id}`
  t.equal((await call(app, admin.access_token, 'PATCH', url, { roles: ['auditor'] })).statusCode, 200)

  for (const [name, { access_token: access }] of Object.entries({ cached: person, 'never seen': elsewhere })) {
    const refused = await call(app, access, 'GET', '/v1/me')
    t.match(refused.json(), { status: 401, code: 'token_stale' }, name)
    t.match(refused.headers['www-authenticate'], /^Bearer realm="signet", error="invalid_token", error_description="/)
  }
  for (const client of [person, elsewhere]) {
    const next = await refreshed(app, client)
    const me = (await call(app, next.access_token, 'GET', '/v1/me')).json()
    t.match(me, { sub: person.id, sid: claims(client.access_token).sid, roles: ['auditor'] }, 'the same session')
    t.equal(claims(next.access_token).auth_time, claims(client.access_token).auth_time, 'and the same login')
    t.equal(claims(next.access_token).iat, claims(client.access_token).iat, 'in the second of the change')
    t.same(await standing(app, client.access_token), STALE)
    t.same(await standing(app, (await refreshed(app, next)).access_token), GOOD)
  }
})

t.test('each of several changes in one second is told apart', async (t) => {
  const person = await signUp(app)
  const older = [person.access_token]
  let client = { ...person }
  for (const roles of [['auditor'], [], ['auditor', 'support'], ['auditor']]) {
    await call(app, admin.access_token, 'PATCH', `/v1/admin/accounts/${person.id}`, { roles })
    client = { ...client, ...(await refreshed(app, client)) }
    t.same((await call(app, client.access_token, 'GET', '/v1/me')).json().roles, roles)
    for (const token of older) t.same(await standing(app, token), STALE)
    older.push(client.access_token)
  }
})

type Taking = (server: TestServer & { admin: User }, person: User) => Promise<{ statusCode: number }>
const asAdmin =
  (method: 'PATCH' | 'POST', path: string, payload?: object): Taking =>
  ({ app, admin }, { id }) =>
    call(app, admin.access_token, method, `/v1/admin/accounts/${id}${path}`, payload)

/** Every action that revokes all tokens of an account. */
const TAKEN_BACK: [what: string, take: Taking][] = [
  ['a suspension', asAdmin('PATCH', '', { status: 'suspended' })],
  ['a suspension with new roles', asAdmin('PATCH', '', { status: 'suspended', roles: ['x'] })],
  ['a revocation by an admin', asAdmin('POST', '/revoke')],
  ['a deletion', ({ app }, { access_token: access }) => call(app, access, 'DELETE', '/v1/me')],
  [
    'a logout everywhere',
    ({ app }, { access_token: access }) => call(app, access, 'POST', '/v1/logout', { scope: 'all' }),
  ],
]
for (const [what, take] of TAKEN_BACK) {
  t.test(`after ${what} no token of the account is good, cached or not, and none can be refreshed`, async (t) => {
    const bystander = await signUp(app)
    const person = await signUp(app)
    const never = await logIn(app, person.email)
    const renewed = { ...never, ...(await refreshed(app, never)) }
    t.same(await standing(app, person.access_token), GOOD)
    t.same(await standing(app, renewed.access_token), GOOD)

    t.match(await take(server, person), { statusCode: /^20[04]$/ })
    for (const { access_token: access } of [person, never, renewed]) {
      const refused = await call(app, access, 'GET', '/v1/me')
      t.match(refused.json(), { status: 401, code: 'invalid_token' }, 'no refresh would help')
      t.match(refused.headers['www-authenticate'], 'error="invalid_token"')
    }
    await t.rejects(refreshed(app, person), /invalid_refresh_token/)
    await t.rejects(refreshed(app, renewed), /invalid_refresh_token/)
    for (const { access_token: access } of [bystander, server.admin])
      t.same(await standing(app, access), GOOD, 'nobody else notices')
  })
}

t.test('one session ends, or all others, and the tokens of the rest stay good', async (t) => {
  const { email, ...one } = await signUp(app)
  const [two, three, four] = [await logIn(app, email), await logIn(app, email), await logIn(app, email)]
  const all = async () =>
    (await Promise.all([one, two, three, four].map(({ access_token: access }) => standing(app, access)))).map(
      ([status]) => status,
    )
  t.same(await all(), [200, 200, 200, 200])
  t.equal((await call(app, two.access_token, 'POST', '/v1/logout', {})).statusCode, 204)
  t.same(await all(), [200, 401, 200, 200])
  t.equal(
    (await call(app, one.access_token, 'DELETE', `/v1/sessions/${claims(three.access_token).sid}`)).statusCode,
    204,
  )
  t.same(await all(), [200, 401, 401, 200])
  t.equal((await call(app, four.access_token, 'POST', '/v1/logout', { scope: 'others' })).statusCode, 204)
  t.same(await all(), [401, 401, 401, 200])
})

t.test('whoever logs in again after a revocation or a suspension is welcome, and his old tokens are not', async (t) => {
  const person = await signUp(app)
  const url = `/v1/admin/accounts/${person.id}`
  await call(app, admin.access_token, 'POST', `${url}/revoke`)
  const second = await logIn(app, person.email)
  t.same(await standing(app, second.access_token), GOOD, 'in the very second of the revocation')

  await call(app, admin.access_token, 'PATCH', url, { status: 'suspended' })
  await call(app, admin.access_token, 'PATCH', url, { status: 'active' })
  const third = await logIn(app, person.email)
  t.same(await standing(app, third.access_token), GOOD)
  for (const { access_token: access } of [person, second]) t.same(await standing(app, access), REVOKED)
})

t.test('a node that boots later knows what was withdrawn before its first request', async (t) => {
  const [gone, changed, still] = [await signUp(app), await signUp(app), await signUp(app)]
  await call(app, admin.access_token, 'POST', `/v1/admin/accounts/${gone.id}/revoke`)
  await call(app, admin.access_token, 'PATCH', `/v1/admin/accounts/${changed.id}`, { roles: ['x'] })
  const node = await anotherNode(t, server)
  t.same(await standing(node.app, gone.access_token), REVOKED)
  t.same(await standing(node.app, changed.access_token), STALE)
  t.same(await standing(node.app, still.access_token), GOOD)
})

t.test('a node that was cut off for a while loses nothing', async (t) => {
  const people = [await signUp(app), await signUp(app), await signUp(app)]
  const node = await anotherNode(t, server)
  for (const { access_token: access } of people) t.same(await standing(node.app, access), GOOD)
  node.link.cut = true
  for (const { id } of people) await call(app, admin.access_token, 'POST', `/v1/admin/accounts/${id}/revoke`)
  for (const { access_token: access } of people) t.same(await standing(node.app, access), GOOD, 'it can not know yet')
  node.link.cut = false
  for (const { access_token: access } of people) {
    while ((await standing(node.app, access))[0] === 200) await pause(5)
    t.same(await standing(node.app, access), REVOKED)
  }
})

t.test('a change by script is seen by a running server without a request that tells it', async (t) => {
  const person = await signUp(server.app)
  t.same(await standing(server.app, person.access_token), GOOD)
  await withRoles(server, person, ['auditor'])
  while ((await standing(server.app, person.access_token))[0] === 200) await pause(5)
  t.same(await standing(server.app, person.access_token), STALE)
})
