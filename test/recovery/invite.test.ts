import t from 'tap'
import { PASSWORD } from '../support/app.ts'
import { logIn, post, serverAt, signUp, signUpAdmin } from '../support/front-door.ts'
import { mailOf, onlyMail } from '../support/inbox.ts'
import { register, tokenOf } from '../support/oauth.ts'
import { call } from '../support/people.ts'

// What an admin does so that somebody gets in, without ever having a password in hands.

const server = await serverAt(t, 1_800_000_000, { NOTICES: 'none' })
const { app, database, pass } = server
const admin = await signUpAdmin(server)
const LIST = '/v1/admin/accounts'
const invite = (body: object) => call(app, admin.access_token, 'POST', LIST, body)
const confirm = (token: string) => post(app, '/v1/recovery/confirm', { token, new_password: PASSWORD })
const login = async (email: string, password: string) => (await post(app, '/v1/login', { email, password })).statusCode

t.test('an invited person chooses the password, and has the roles that the admin gave', async (t) => {
  const made = await invite({ email: ' Ada@Example.com', roles: ['support', 'support2'], locale: 'de' })
  t.equal(made.statusCode, 201)
  t.match(made.json(), {
    email: 'ada@example.com',
    email_verified: false,
    roles: ['support', 'support2'],
    status: 'active',
  })
  t.notMatch(made.body, /password|token|sot_/)
  const mail = await onlyMail(server)
  t.match(mail, { to: 'ada@example.com', kind: 'invitation', letter: { language: 'de' } })
  t.match(mail.letter.data.link, /\/recover#token=sot_/)
  for (const password of ['', PASSWORD, mail.token])
    if (password) t.equal(await login('ada@example.com', password), 401)
  pass(7 * 86_400 - 1)
  t.equal((await confirm(mail.token)).statusCode, 204)
  t.equal((await confirm(mail.token)).statusCode, 400)
  const { access_token } = await logIn(app, 'ada@example.com')
  t.match((await call(app, access_token, 'GET', '/v1/account')).json(), {
    email_verified: true,
    roles: ['support', 'support2'],
  })
})

t.test('an invitation is good for seven days; after that the admin sends a recovery', async (t) => {
  Object.assign(admin, await logIn(app, admin.email))
  const { id } = (await invite({ email: 'late@example.com' })).json()
  const mail = await onlyMail(server)
  pass(7 * 86_400)
  t.equal((await confirm(mail.token)).statusCode, 400)
  Object.assign(admin, await logIn(app, admin.email))
  const sent = await call(app, admin.access_token, 'POST', `${LIST}/${id}/send-recovery`)
  t.match(sent, { statusCode: 202, body: '{}' })
  const recovery = await onlyMail(server)
  t.match(recovery, { to: 'late@example.com', kind: 'recovery' })
  t.equal((await confirm(recovery.token)).statusCode, 204)
  const rows = await database.query('SELECT event, actor_id FROM audit_events WHERE account_id = $1 ORDER BY at', [id])
  for (const event of ['account_invited', 'recovery_requested'])
    t.ok(
      rows.some((row) => row.event === event && row.actor_id === admin.id),
      event,
    )
})

t.test('an address that is taken is 409, of two at once one wins, and one message goes out', async (t) => {
  const taken = await signUp(app)
  t.match((await invite({ email: taken.email.toUpperCase() })).json(), { status: 409, code: 'email_taken' })
  const both = await Promise.all([invite({ email: 'two@example.com' }), invite({ email: 'TWO@example.com' })])
  t.same(both.map(({ statusCode }) => statusCode).sort(), [201, 409])
  t.same(
    (await mailOf(server)).map(({ to }) => to),
    ['two@example.com'],
  )
})

t.test('both are for the role admin, of accounts that are there, with what they know', async (t) => {
  const person = await signUp(app)
  for (const [url, body] of [
    [LIST, { email: 'x@example.com' }],
    [`${LIST}/${person.id}/send-recovery`, undefined],
  ] as const) {
    t.match((await call(app, person.access_token, 'POST', url, body)).json(), {
      status: 403,
      code: 'insufficient_scope',
    })
    t.equal((await app.inject({ method: 'POST', url, ...(body && { payload: body }) })).statusCode, 401)
  }
  t.match((await call(app, admin.access_token, 'POST', `${LIST}/acc_x/send-recovery`)).json(), { code: 'not_found' })
  for (const body of [
    {},
    { email: 'none' },
    { email: 'x@example.com', password: PASSWORD },
    { email: 'x@example.com', roles: ['A'] },
  ])
    t.match((await invite(body)).json(), { status: 400, code: 'validation_failed' }, JSON.stringify(body))
  t.same(await mailOf(server), [])
})

t.test('a machine invites without roles, and sends no recovery to an admin', async (t) => {
  Object.assign(admin, await logIn(app, admin.email))
  const machine = await register(server, { scope: 'signet:accounts:write' })
  const token = await tokenOf(app, machine)
  const asked = (url: string, body?: object) => call(app, token, 'POST', url, body)
  t.equal((await asked(LIST, { email: 'by-machine@example.com', roles: [] })).statusCode, 201)
  t.equal((await onlyMail(server)).to, 'by-machine@example.com')
  for (const reply of [
    await asked(LIST, { email: 'chief@example.com', roles: ['admin'] }),
    await asked(LIST, { email: 'chief@example.com', roles: ['support'] }),
    await asked(`${LIST}/${admin.id}/send-recovery`),
  ])
    t.match(reply.json(), { status: 403, code: 'insufficient_scope' })
  t.same(await mailOf(server), [])
  t.same(await database.query("SELECT id FROM accounts WHERE email = 'chief@example.com'"), [])
})
