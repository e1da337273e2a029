import t, { type Test } from 'tap'
import type { App } from '../../src/http/app-type.ts'
import { anotherNode } from '../support/another-node.ts'
import { PASSWORD, startApp, type TestServer } from '../support/app.ts'
import { logIn, refreshed, signUp, signUpAdmin, type User } from '../support/front-door.ts'
import { call, standing, withRoles } from '../support/people.ts'

const server = await startApp(t)
const { app } = server

const GOOD = [200, undefined]
const REVOKED = [401, 'invalid_token']
const NEXT = 'a new horse battery staple'

const changePassword = (
  app: App,
  { access_token: access }: { access_token: string },
  next = NEXT,
  current = PASSWORD,
) => call(app, access, 'PUT', '/v1/me/password', { current_password: current, new_password: next })
const remove = (app: App, { access_token: access }: { access_token: string }) => call(app, access, 'DELETE', '/v1/me')
const loginStatus = async (app: App, email: string, password: string) =>
  (await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password } })).statusCode

t.test('a new password ends every other session at once and keeps the one it was set in', async (t) => {
  const person = await signUp(app)
  const [phone, desk] = [await logIn(app, person.email), await logIn(app, person.email)]
  const bystander = await signUp(app)
  t.same(await standing(app, phone.access_token), GOOD, 'in the cache from now on')

  const changed = await changePassword(app, person)
  t.equal(changed.statusCode, 200)
  t.same(await standing(app, person.access_token), GOOD, 'the token in hand goes on')
  t.same(await standing(app, changed.json().access_token), GOOD)
  t.same(await standing(app, (await refreshed(app, changed.json())).access_token), GOOD, 'and its new refresh token')
  for (const other of [phone, desk]) {
    t.same(await standing(app, other.access_token), REVOKED)
    await t.rejects(refreshed(app, other), /invalid_refresh_token/)
  }
  t.same(await standing(app, bystander.access_token), GOOD)
  t.equal((await call(app, person.access_token, 'GET', '/v1/sessions')).json().sessions.length, 1)
  t.equal(await loginStatus(app, person.email, PASSWORD), 401, 'the old password is over')
  t.equal(await loginStatus(app, person.email, NEXT), 200)
})

t.test('a wrong current password is 401, and nothing changes', async (t) => {
  const person = await signUp(app)
  const other = await logIn(app, person.email)
  for (const current of [`${PASSWORD}!`, PASSWORD.toUpperCase(), NEXT, ' ']) {
    const refused = await changePassword(app, person, NEXT, current)
    t.match(refused.json(), { status: 401, code: 'invalid_credentials' })
    t.notMatch(refused.headers['www-authenticate'], /error/, 'it is not the token that is wrong')
  }
  t.same(await standing(app, other.access_token), GOOD)
  t.equal(await loginStatus(app, person.email, NEXT), 401)
  t.equal(await loginStatus(app, person.email, PASSWORD), 200)
})

t.test('a new password is held to the rules of registration, and a refusal changes nothing', async (t) => {
  const person = await signUp(app)
  const other = await logIn(app, person.email)
  const WEAK: [password: string, reason: RegExp][] = [
    ['short', /at least 15/],
    ['passwordpassword', /common|repeated/],
    ['x'.repeat(513), /more than 512/],
    [`my name is ${person.email.split('@')[0]}`, /name of the email/],
  ]
  for (const [password, reason] of WEAK) {
    const refused = await changePassword(app, person, password)
    t.match(refused.json(), {
      status: 422,
      code: 'password_unacceptable',
      detail: reason,
      errors: [{ field: '/new_password' }],
    })
  }
  t.same(await standing(app, other.access_token), GOOD)
  t.equal(await loginStatus(app, person.email, PASSWORD), 200)
})

t.test('what is missing or unknown in the body is refused by field', async (t) => {
  const { access_token: access } = await signUp(app)
  const both = { current_password: PASSWORD, new_password: NEXT }
  for (const body of [
    {},
    { ...both, current_password: undefined },
    { ...both, new_password: '' },
    { ...both, new_password: 'x'.repeat(4097) },
    { ...both, id: 'acc_other' },
  ]) {
    const refused = await call(app, access, 'PUT', '/v1/me/password', body)
    t.match(refused.json(), { status: 400, code: 'validation_failed' })
    t.notMatch(refused.body, PASSWORD)
  }
})

t.test('of two changes at once one wins, and the loser is told', async (t) => {
  const person = await signUp(app)
  const nexts = ['first horse battery staple', 'second horse battery staple']
  const replies = await Promise.all(nexts.map((next) => changePassword(app, person, next)))
  t.same(replies.map(({ statusCode }) => statusCode).sort(), [200, 409])
  t.equal(replies.find(({ statusCode }) => statusCode === 409)?.json().code, 'password_changed_meanwhile')
  const won = nexts[replies.findIndex(({ statusCode }) => statusCode === 200)] ?? ''
  const lost = nexts.find((next) => next !== won) ?? ''
  t.equal(await loginStatus(app, person.email, won), 200)
  t.equal(await loginStatus(app, person.email, lost), 401)
})

async function atClock(t: Test): Promise<TestServer & { clock: { now: number } }> {
  const clock = { now: Math.floor(Date.now() / 1000) }
  return { ...(await startApp(t, { now: () => clock.now })), clock }
}

t.test('deleting an account takes a login of the last five minutes, and no refresh makes one younger', async (t) => {
  const { app, clock } = await atClock(t)
  const person = await signUp(app)
  clock.now += 301
  for (const { access_token: access } of [person, await refreshed(app, person)]) {
    const refused = await remove(app, { access_token: access })
    t.match(refused.json(), { status: 401, code: 'insufficient_user_authentication' })
    t.match(refused.headers['www-authenticate'], /error="insufficient_user_authentication".*max_age="300"/)
  }
  const again = await logIn(app, person.email)
  clock.now += 300
  t.equal((await remove(app, again)).statusCode, 204)
})

t.test('a deleted account is gone: its tokens, its sessions, its login; and its email is free again', async (t) => {
  const server = await atClock(t)
  const { app, database } = server
  const person = await signUp(app)
  const other = await logIn(app, person.email)
  t.same(await standing(app, other.access_token), GOOD)
  t.equal((await remove(app, person)).statusCode, 204)

  for (const { access_token: access } of [person, other]) t.same(await standing(app, access), REVOKED)
  await t.rejects(refreshed(app, other), /invalid_refresh_token/)
  t.equal(await loginStatus(app, person.email, PASSWORD), 401)
  t.match((await remove(app, person)).json(), { status: 401, code: 'invalid_token' }, 'a second time')
  for (const table of ['accounts', 'sessions'])
    t.same(await database.query(`SELECT * FROM ${table}`), [], `nothing is left in ${table}`)

  const payload = { email: person.email, password: PASSWORD }
  const registered = await app.inject({ method: 'POST', url: '/v1/accounts', payload })
  t.equal(registered.statusCode, 201)
  t.not(registered.json().id, person.id, 'another account')
  const fresh = await logIn(app, person.email)
  t.same(await standing(app, fresh.access_token), GOOD)
  t.same(await standing(app, person.access_token), REVOKED, 'to which the old tokens do not belong')
})

t.test('the last active admin can not delete himself; with another one he can', async (t) => {
  const server = await atClock(t)
  const { app } = server
  const admin = await signUpAdmin(server)
  const bystander = await signUp(app)
  const refused = await remove(app, admin)
  t.match(refused.json(), { status: 409, code: 'last_admin' })
  t.same(await standing(app, admin.access_token), GOOD, 'nothing happened to him')

  const second = await withRoles(server, bystander, ['admin', 'support'])
  await call(app, admin.access_token, 'PATCH', `/v1/admin/accounts/${second.id}`, { status: 'suspended' })
  t.equal((await remove(app, admin)).statusCode, 409, 'a suspended admin is none')
  await call(app, admin.access_token, 'PATCH', `/v1/admin/accounts/${second.id}`, { status: 'active' })
  t.equal((await remove(app, admin)).statusCode, 204)
})

t.test('of two admins who delete themselves at once one stays', async (t) => {
  const server = await atClock(t)
  const admins: User[] = [await signUpAdmin(server), await signUpAdmin(server)]
  const replies = await Promise.all(admins.map((admin) => remove(server.app, admin)))
  t.same(replies.map(({ statusCode }) => statusCode).sort(), [204, 409])
})

t.test('with the store down both answer 503 with Retry-After, and nothing changes', async (t) => {
  const { app, link } = await anotherNode(t, server)
  const person = await signUp(server.app)
  link.cut = true
  for (const reply of [await changePassword(app, person), await remove(app, person)]) {
    t.match(reply.json(), { status: 503, code: 'store_unavailable' })
    t.match(reply.headers['retry-after'], /^\d+$/)
  }
  link.cut = false
  t.equal(await loginStatus(app, person.email, PASSWORD), 200)
})
