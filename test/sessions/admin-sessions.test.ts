import t from 'tap'
import { anotherNode } from '../support/another-node.ts'
import { bearer } from '../support/app.ts'
import { claimsOf, logIn, refreshVerdict, serverAt, signUp, signUpAdmin } from '../support/front-door.ts'
import { call, standing } from '../support/people.ts'

// What an admin sees and ends of the sessions of others.

const START = 1_800_000_000
const server = await serverAt(t, START)
const { app, database, pass } = server
const admin = await signUpAdmin(server)
const listOf = (id: string) => `/v1/admin/accounts/${id}/sessions`
const end = (id: string, sid: string, by = admin) => call(app, by.access_token, 'DELETE', `${listOf(id)}/${sid}`)

t.test('an admin sees the live sessions of an account as its owner does, and no others', async (t) => {
  const person = await signUp(app, { ip: '192.0.2.7', userAgent: 'phone' })
  await signUp(app)
  pass(10)
  const second = await logIn(app, person.email)
  const own = (await call(app, second.access_token, 'GET', '/v1/sessions')).json().sessions
  const seen = await call(app, admin.access_token, 'GET', listOf(person.id))
  t.equal(seen.statusCode, 200)
  t.same(
    seen.json().sessions,
    own.map((session: object) => ({ ...session, current: false })),
  )
  t.match(seen.json().sessions[1], { id: claimsOf(person).sid, ip: '192.0.2.7', user_agent: 'phone' })
  const ofAdmin = (await call(app, admin.access_token, 'GET', listOf(admin.id))).json().sessions
  t.ok(ofAdmin.some(({ current }: { current: boolean }) => current))
})

t.test('an admin ends one session: refused here at once, on other nodes within a second, with one row', async (t) => {
  const person = await signUp(app)
  const stays = await logIn(app, person.email)
  const other = await anotherNode(t, server, { now: server.now })
  const { sid } = claimsOf(person)
  t.same(await standing(other.app, person.access_token), [200, undefined])
  const reply = await app.inject({
    method: 'DELETE',
    url: `${listOf(person.id)}/${sid}`,
    remoteAddress: '192.0.2.9',
    headers: bearer(admin.access_token),
  })
  t.same([reply.statusCode, reply.body], [204, ''])
  t.same(await standing(app, person.access_token), [401, 'invalid_token'])
  t.equal(await refreshVerdict(app, person), 'invalid_refresh_token')
  t.same(await standing(app, stays.access_token), [200, undefined], 'the other session goes on')
  // The other node looks four times a second.
  for (let i = 0; i < 100 && (await standing(other.app, person.access_token))[0] === 200; i += 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
  t.same(await standing(other.app, person.access_token), [401, 'invalid_token'])
  t.same(
    await database.query("SELECT account_id, session_id, actor_id, ip FROM audit_events WHERE event = 'session_ended'"),
    [{ account_id: person.id, session_id: sid, actor_id: admin.id, ip: '192.0.2.9' }],
  )
})

t.test(
  'a session of somebody else, one that is over and one that never was are all 404, and nothing ends',
  async (t) => {
    const [person, bystander] = [await signUp(app), await signUp(app)]
    const ended = await logIn(app, person.email)
    const rows = () => database.query("SELECT COUNT(*) AS n FROM audit_events WHERE event = 'session_ended'")
    t.equal((await end(person.id, claimsOf(ended).sid)).statusCode, 204)
    const before = await rows()
    const CASES: [what: string, id: string, sid: string][] = [
      ['of another account', person.id, claimsOf(bystander).sid],
      ['ended', person.id, claimsOf(ended).sid],
      ['never there', person.id, 'A'.repeat(22)],
      ['of no account', 'acc_nobody', claimsOf(person).sid],
      ['hostile', person.id, "' OR 1=1 --"],
    ]
    for (const [what, id, sid] of CASES)
      t.match((await end(id, encodeURIComponent(sid))).json(), { status: 404, code: 'not_found' }, what)
    t.match((await call(app, admin.access_token, 'GET', listOf('acc_nobody'))).json(), {
      status: 404,
      code: 'not_found',
    })
    for (const one of [person, bystander]) t.same(await standing(app, one.access_token), [200, undefined])
    t.same(await rows(), before)
  },
)

t.test('sent twice at once, one is 204 and one is 404; an expired session is over', async (t) => {
  const person = await signUp(app)
  const { sid } = claimsOf(person)
  const replies = await Promise.all([end(person.id, sid), end(person.id, sid)])
  t.same(replies.map(({ statusCode }) => statusCode).toSorted(), [204, 404])
  const expired = await signUp(app)
  await database.query('UPDATE sessions SET expires_at = $2 WHERE account_id = $1', [expired.id, server.now()])
  t.equal((await end(expired.id, claimsOf(expired).sid)).statusCode, 404)
  t.same((await call(app, admin.access_token, 'GET', listOf(expired.id))).json(), { sessions: [] })
})

t.test('only admins, and one who was just demoted ends nothing', async (t) => {
  const person = await signUp(app)
  const { sid } = claimsOf(person)
  for (const url of [listOf(person.id), `${listOf(person.id)}/${sid}`]) {
    const method = url.endsWith(sid) ? 'DELETE' : 'GET'
    t.match((await call(app, person.access_token, method, url)).json(), { status: 403, code: 'insufficient_scope' })
    t.equal((await app.inject({ method, url })).statusCode, 401)
  }
  const former = await signUpAdmin(server)
  await database.query('UPDATE accounts SET token_version = token_version + 1 WHERE id = $1', [former.id])
  t.match((await end(person.id, sid, former)).json(), { status: 401, code: 'token_stale' })
  t.same(await standing(app, person.access_token), [200, undefined])
})
