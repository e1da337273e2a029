import t from 'tap'
import { anotherNode } from '../support/another-node.ts'
import { PASSWORD } from '../support/app.ts'
import { logIn, post, refreshVerdict, serverAt, signUp, signUpAdmin, type User } from '../support/front-door.ts'
import { call, standing, withRoles } from '../support/people.ts'

// An admin deletes an account.

const START = 1_800_000_000
const GOOD = [200, undefined]
const server = await serverAt(t, START)
const { app, database, pass } = server
const admin = await signUpAdmin(server)
const remove = (by: User, id: string, on = app) => call(on, by.access_token, 'DELETE', `/v1/admin/accounts/${id}`)
const trail = (id: string) =>
  database.query("SELECT actor_id, detail FROM audit_events WHERE event = 'account_deleted' AND account_id = $1", [id])

t.test('it ends everything everywhere, the email is free again, and the trail says who it was', async (t) => {
  const person = await withRoles(server, await signUp(app), ['support'])
  const phone = await logIn(app, person.email)
  const other = await anotherNode(t, server, { now: server.now })
  t.same((await remove(admin, person.id)).statusCode, 204)
  for (const tokens of [person, phone]) {
    t.same(await standing(app, tokens.access_token), [401, 'invalid_token'])
    t.equal(await refreshVerdict(app, tokens), 'invalid_refresh_token')
    for (let i = 0; i < 100 && (await standing(other.app, tokens.access_token))[0] === 200; i += 1)
      await new Promise((resolve) => setTimeout(resolve, 20))
    t.same(await standing(other.app, tokens.access_token), [401, 'invalid_token'])
  }
  t.equal((await post(app, '/v1/login', { email: person.email, password: PASSWORD })).statusCode, 401)
  t.same(await database.query('SELECT id FROM sessions WHERE account_id = $1', [person.id]), [])
  t.same(await trail(person.id), [
    { actor_id: admin.id, detail: JSON.stringify({ status_before: 'active', roles_before: ['support'] }) },
  ])
  const again = await post(app, '/v1/accounts', { email: person.email, password: PASSWORD })
  t.equal(again.statusCode, 201)
  t.not(again.json().id, person.id)
})

t.test('sent twice at once: one 204, one 404, one row', async (t) => {
  const { id } = await signUp(app)
  const replies = await Promise.all([remove(admin, id), remove(admin, id)])
  t.same(replies.map(({ statusCode }) => statusCode).toSorted(), [204, 404])
  t.equal((await trail(id)).length, 1)
})

t.test('never the last admin, and the own account only soon after a login', async (t) => {
  const server = await serverAt(t, START)
  const { app, pass } = server
  const [first, second] = [await signUpAdmin(server), await signUpAdmin(server)]
  pass(301)
  const late = await remove(first, first.id, app)
  t.match(late.json(), { status: 401, code: 'insufficient_user_authentication' })
  t.match(late.headers['www-authenticate'], 'max_age="300"')
  t.same(await standing(app, first.access_token), GOOD)
  t.equal((await remove(first, second.id, app)).statusCode, 204, 'another one needs no fresh login')
  const again = { ...first, ...(await logIn(app, first.email)) }
  t.match((await remove(again, first.id, app)).json(), { status: 409, code: 'last_admin' })
  t.same(await standing(app, again.access_token), GOOD, 'and nothing happened')
  const third = await signUpAdmin(server)
  t.equal((await remove(again, first.id, app)).statusCode, 204)
  t.same(await standing(app, again.access_token), [401, 'invalid_token'])
  t.same(await standing(app, third.access_token), GOOD)
})

t.test('of two admins who delete each other at once one stays', async (t) => {
  const server = await serverAt(t, START)
  const [one, two] = [await signUpAdmin(server), await signUpAdmin(server)]
  const replies = await Promise.all([remove(one, two.id, server.app), remove(two, one.id, server.app)])
  t.equal(replies.filter(({ statusCode }) => statusCode === 204).length, 1)
})

t.test('an admin who was just demoted deletes nobody', async (t) => {
  const [former, person] = [await signUpAdmin(server), await signUp(app)]
  pass(1)
  await database.query('UPDATE accounts SET token_version = token_version + 1 WHERE id = $1', [former.id])
  t.match((await remove(former, person.id)).json(), { status: 401, code: 'token_stale' })
  t.same(await standing(app, person.access_token), GOOD)
})
