import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startApp, type TestServer } from '../support/app.ts'
import { anotherNode } from './another-node.ts'
import { call, login, newAdmin, newPerson, type Person, refresh, standing, withRoles } from './people.ts'

const GOOD = [200, undefined]
const REVOKED = [401, 'invalid_token']
const STALE = [401, 'token_stale']

const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** A server whose clock stands still: everything in these tests happens in one and the same second. */
async function inOneSecond(t: Test): Promise<TestServer & { admin: Person }> {
  const second = Math.floor(Date.now() / 1000)
  const server = await startApp(t, { now: () => second })
  return { ...server, admin: await newAdmin(server) }
}

t.test('a role change makes older tokens stale: one refresh, and the client goes on with the new roles', async (t) => {
  const { app, admin } = await inOneSecond(t)
  const person = await newPerson(app)
  const elsewhere = await login(app, person.email)
  t.same(await standing(app, person.access), GOOD, 'verified, and in the cache from now on')
  const url = `/v1/admin/accounts/${person.id}`
  t.equal((await call(app, admin.access, 'PATCH', url, { roles: ['auditor'] })).statusCode, 200)

  for (const [name, { access }] of Object.entries({ cached: person, 'never seen': elsewhere })) {
    const refused = await call(app, access, 'GET', '/v1/me')
    t.match(refused.json(), { status: 401, code: 'token_stale' }, name)
    t.match(refused.headers['www-authenticate'], /^Bearer realm="signet", error="invalid_token", error_description="/)
  }
  for (const client of [person, elsewhere]) {
    const next = await refresh(app, client)
    const me = (await call(app, next.access, 'GET', '/v1/me')).json()
    t.match(me, { sub: person.id, sid: claims(client.access).sid, roles: ['auditor'] }, 'the same session')
    t.equal(claims(next.access).auth_time, claims(client.access).auth_time, 'and the same login')
    t.equal(claims(next.access).iat, claims(client.access).iat, 'in the second of the change')
    t.same(await standing(app, client.access), STALE)
    t.same(await standing(app, (await refresh(app, next)).access), GOOD)
  }
})

t.test('each of several changes in one second is told apart', async (t) => {
  const { app, admin } = await inOneSecond(t)
  const person = await newPerson(app)
  const older = [person.access]
  let client = { ...person }
  for (const roles of [['auditor'], [], ['auditor', 'support'], ['auditor']]) {
    await call(app, admin.access, 'PATCH', `/v1/admin/accounts/${person.id}`, { roles })
    client = { ...client, ...(await refresh(app, client)) }
    t.same((await call(app, client.access, 'GET', '/v1/me')).json().roles, roles)
    for (const token of older) t.same(await standing(app, token), STALE)
    older.push(client.access)
  }
})

type Taking = (server: TestServer & { admin: Person }, person: Person) => Promise<{ statusCode: number }>
const asAdmin =
  (method: 'PATCH' | 'POST', path: string, payload?: object): Taking =>
  ({ app, admin }, { id }) =>
    call(app, admin.access, method, `/v1/admin/accounts/${id}${path}`, payload)

/** Ways in which everything that somebody holds is taken back. */
const TAKEN_BACK: [what: string, take: Taking][] = [
  ['a suspension', asAdmin('PATCH', '', { status: 'suspended' })],
  ['a suspension with new roles', asAdmin('PATCH', '', { status: 'suspended', roles: ['x'] })],
  ['a revocation by an admin', asAdmin('POST', '/revoke')],
  ['a deletion', ({ app }, { access }) => call(app, access, 'DELETE', '/v1/me')],
  ['a logout everywhere', ({ app }, { access }) => call(app, access, 'POST', '/v1/logout', { scope: 'all' })],
]
for (const [what, take] of TAKEN_BACK) {
  t.test(`after ${what} no token of the account is good, cached or not, and none can be refreshed`, async (t) => {
    const server = await inOneSecond(t)
    const { app } = server
    const bystander = await newPerson(app)
    const person = await newPerson(app)
    const never = await login(app, person.email)
    const refreshed = { ...never, ...(await refresh(app, never)) }
    t.same(await standing(app, person.access), GOOD)
    t.same(await standing(app, refreshed.access), GOOD)

    t.match(await take(server, person), { statusCode: /^20[04]$/ })
    for (const { access } of [person, never, refreshed]) {
      const refused = await call(app, access, 'GET', '/v1/me')
      t.match(refused.json(), { status: 401, code: 'invalid_token' }, 'no refresh would help')
      t.match(refused.headers['www-authenticate'], 'error="invalid_token"')
    }
    await t.rejects(refresh(app, person), /invalid_refresh_token/)
    await t.rejects(refresh(app, refreshed), /invalid_refresh_token/)
    for (const { access } of [bystander, server.admin]) t.same(await standing(app, access), GOOD, 'nobody else notices')
  })
}

t.test('one session ends, or all others, and the tokens of the rest stay good', async (t) => {
  const { app } = await inOneSecond(t)
  const { email, ...one } = await newPerson(app)
  const [two, three, four] = [await login(app, email), await login(app, email), await login(app, email)]
  const all = async () =>
    (await Promise.all([one, two, three, four].map(({ access }) => standing(app, access)))).map(([status]) => status)
  t.same(await all(), [200, 200, 200, 200])
  t.equal((await call(app, two.access, 'POST', '/v1/logout', {})).statusCode, 204)
  t.same(await all(), [200, 401, 200, 200])
  t.equal((await call(app, one.access, 'DELETE', `/v1/sessions/${claims(three.access).sid}`)).statusCode, 204)
  t.same(await all(), [200, 401, 401, 200])
  t.equal((await call(app, four.access, 'POST', '/v1/logout', { scope: 'others' })).statusCode, 204)
  t.same(await all(), [401, 401, 401, 200])
})

t.test('whoever logs in again after a revocation or a suspension is welcome, and his old tokens are not', async (t) => {
  const { app, admin } = await inOneSecond(t)
  const person = await newPerson(app)
  const url = `/v1/admin/accounts/${person.id}`
  await call(app, admin.access, 'POST', `${url}/revoke`)
  const second = await login(app, person.email)
  t.same(await standing(app, second.access), GOOD, 'in the very second of the revocation')

  await call(app, admin.access, 'PATCH', url, { status: 'suspended' })
  await call(app, admin.access, 'PATCH', url, { status: 'active' })
  const third = await login(app, person.email)
  t.same(await standing(app, third.access), GOOD)
  for (const { access } of [person, second]) t.same(await standing(app, access), REVOKED)
})

t.test('a node that boots later knows what was withdrawn before its first request', async (t) => {
  const server = await inOneSecond(t)
  const { app, admin } = server
  const [gone, changed, still] = [await newPerson(app), await newPerson(app), await newPerson(app)]
  await call(app, admin.access, 'POST', `/v1/admin/accounts/${gone.id}/revoke`)
  await call(app, admin.access, 'PATCH', `/v1/admin/accounts/${changed.id}`, { roles: ['x'] })
  const node = await anotherNode(t, server)
  t.same(await standing(node.app, gone.access), REVOKED)
  t.same(await standing(node.app, changed.access), STALE)
  t.same(await standing(node.app, still.access), GOOD)
})

t.test('a node that was cut off for a while loses nothing', async (t) => {
  const server = await inOneSecond(t)
  const { app, admin } = server
  const people = [await newPerson(app), await newPerson(app), await newPerson(app)]
  const node = await anotherNode(t, server)
  for (const { access } of people) t.same(await standing(node.app, access), GOOD)
  node.link.cut = true
  for (const { id } of people) await call(app, admin.access, 'POST', `/v1/admin/accounts/${id}/revoke`)
  for (const { access } of people) t.same(await standing(node.app, access), GOOD, 'it can not know yet')
  node.link.cut = false
  for (const { access } of people) {
    while ((await standing(node.app, access))[0] === 200) await pause(5)
    t.same(await standing(node.app, access), REVOKED)
  }
})

t.test('a change by script is seen by a running server without a request that tells it', async (t) => {
  const server = await inOneSecond(t)
  const person = await newPerson(server.app)
  t.same(await standing(server.app, person.access), GOOD)
  await withRoles(server, person, ['auditor'])
  while ((await standing(server.app, person.access))[0] === 200) await pause(5)
  t.same(await standing(server.app, person.access), STALE)
})
