import t from 'tap'
import { PASSWORD } from '../support/app.ts'
import {
  administer,
  logIn,
  post,
  refreshed,
  serverAt,
  signUp,
  signUpAdmin,
  type User,
  verdict,
} from '../support/front-door.ts'
import { type Mail, mailOf, onlyMail } from '../support/inbox.ts'
import { call } from '../support/people.ts'

// What the owner of an account is told of, and how "this was not me" takes it back.

const server = await serverAt(t, 1_800_000_000, { LOGIN_FREE_FAILURES: '2' })
const { app, database, now, pass } = server
const NEXT = 'a new horse battery staple'
const DAY_SECONDS = 86_400
const REFUSED = { status: 400, code: 'invalid_recovery_token' }
const HOME = { ip: '192.0.2.7', userAgent: 'Shop/1.0 (iPhone)' }
const ELSEWHERE = { ip: '198.51.100.9', userAgent: 'Thief/2.0' }

const revoke = (token: string) => post(app, '/v1/notices/revoke', { token })
const changePassword = (token: string, current = PASSWORD, next = NEXT) =>
  call(app, token, 'PUT', '/v1/me/password', { current_password: current, new_password: next })
const login = (email: string, password = PASSWORD) => post(app, '/v1/login', { email, password }, HOME)
const admin = await signUpAdmin(server)
await mailOf(server)

/** Somebody who logged in at home, and whose notices of that are read. */
async function owner(): Promise<User> {
  const person = await signUp(app, HOME)
  t.same(await mailOf(server), [], 'the first login is no news')
  return person
}

/** The owner, and the message about somebody else's login. */
async function loggedInElsewhere() {
  const person = await owner()
  const thief = await logIn(app, person.email, ELSEWHERE)
  return { person, thief, mail: await onlyMail(server) }
}

const TOLD: [what: string, subject: RegExp, act: (person: User) => Promise<unknown>, data: object][] = [
  [
    'a login elsewhere',
    /new login/,
    ({ email }) => logIn(app, email, ELSEWHERE),
    { where: '198.51.100.9', client: 'Thief' },
  ],
  [
    'a known client in another network',
    /new login/,
    ({ email }) => logIn(app, email, { ...HOME, ip: '2001:db8::7' }),
    { client: 'Shop, iOS' },
  ],
  ['a new password', /password .*changed/, ({ access_token }) => changePassword(access_token), { where: '127.0.0.1' }],
  [
    'a copied refresh token',
    /session .*ended/,
    async (person) => {
      await refreshed(app, person, HOME)
      pass(11)
      await post(app, '/v1/refresh', { refresh_token: person.refresh_token }, ELSEWHERE)
    },
    { where: '198.51.100.9 / 192.0.2.7', client: 'Thief / Shop, iOS' },
  ],
  [
    'many wrong passwords',
    /[Ww]rong passwords/,
    async ({ email }) => {
      for (const password of ['a', 'b', 'c']) await post(app, '/v1/login', { email, password }, ELSEWHERE)
    },
    { where: '198.51.100.9', client: 'Thief' },
  ],
  [
    'a suspension',
    /suspended/,
    ({ id }) => administer(app, admin, id, { status: 'suspended' }),
    { where: '', client: '' },
  ],
]

t.test('the owner is told when, from where and with what client, at the address of the account', async (t) => {
  for (const [what, subject, act, data] of TOLD) {
    const person = await owner()
    const at = now()
    await act(person)
    const mail = await onlyMail(server)
    t.match(mail, { to: person.email, kind: 'notice', letter: { subject, data } }, what)
    t.ok(Number(mail.letter.data.when) >= at, what)
    t.match(mail.letter.text, 'UTC', what)
    const hasLink = !/suspended|[Ww]rong passwords/.test(mail.letter.subject)
    t.equal(mail.token !== '', hasLink, what)
    if (hasLink)
      t.match(mail.letter.data, { link: /\/not-me#token=sot_/, until: String(now() + 7 * DAY_SECONDS) }, what)
  }
})

t.test('a suspended account is told when it works again, and an unconfirmed address of nothing', async (t) => {
  const person = await owner()
  await administer(app, admin, person.id, { status: 'suspended' })
  await administer(app, admin, person.id, { status: 'active' })
  t.same((await mailOf(server)).map(({ letter }) => letter.subject).length, 2)
  const other = await owner()
  await logIn(app, other.email, ELSEWHERE)
  await database.query('UPDATE accounts SET awaits_confirmation = 1 WHERE id = $1', [other.id])
  t.same(await mailOf(server), [])
  await administer(app, admin, person.id, { status: 'suspended' })
  await database.query('DELETE FROM accounts WHERE id = $1', [person.id])
  t.same(await mailOf(server), [], 'nor an account that is gone')
})

t.test('"this was not me" ends every session, and nobody gets in until a recovery', async (t) => {
  const { person, thief, mail } = await loggedInElsewhere()
  // A thief who changes the password does not make the link worthless.
  t.equal((await changePassword(thief.access_token)).statusCode, 200)
  const later = await onlyMail(server)
  const reply = await revoke(mail.token)
  t.equal(reply.statusCode, 204)
  t.equal(reply.headers['cache-control'], 'no-store')
  for (const tokens of [person, thief]) t.equal(await verdict(app, tokens), 'invalid_token')
  t.match((await login(person.email, NEXT)).json(), { status: 401, code: 'recovery_required' })
  t.match((await login(person.email, 'wrong')).json(), { status: 401, code: 'invalid_credentials' })

  const recovery = await onlyMail(server)
  t.match(recovery, { to: person.email, kind: 'recovery' })
  for (const spent of [mail, later])
    t.match((await revoke(spent.token)).json(), REFUSED, 'all links of before are used')
  const confirmed = await post(app, '/v1/recovery/confirm', { token: recovery.token, new_password: PASSWORD })
  t.equal(confirmed.statusCode, 204)
  await mailOf(server)
  pass(1)
  await logIn(app, person.email, ELSEWHERE)
  t.equal((await onlyMail(server)).kind, 'notice', "the thief's network is new again")
  const [row] = await database.query(
    "SELECT ip, detail FROM audit_events WHERE event = 'account_disowned' AND account_id = $1",
    [person.id],
  )
  t.match(row, { ip: '127.0.0.1', detail: '{"by":"not_me"}' })
})

t.test('each of several links works, for seven days, once, and only with POST', async (t) => {
  const { person, mail } = await loggedInElsewhere()
  await logIn(app, person.email, { ...ELSEWHERE, ip: '198.51.100.10' })
  const second = await onlyMail(server)
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE'] as const) {
    const { statusCode } = await app.inject({ method, url: `/v1/notices/revoke?token=${mail.token}` })
    t.ok([404, 405].includes(statusCode), method)
  }
  pass(7 * DAY_SECONDS - 1)
  const replies = await Promise.all([revoke(mail.token), revoke(mail.token)])
  t.same(replies.map(({ statusCode }) => statusCode).sort(), [204, 400])
  t.equal((await mailOf(server)).length, 1)
  t.match((await revoke(second.token)).json(), REFUSED)

  const other = await loggedInElsewhere()
  const login = await logIn(app, other.person.email, { ...ELSEWHERE, ip: '198.51.100.10' })
  const newest = await onlyMail(server)
  pass(7 * DAY_SECONDS)
  t.match((await revoke(other.mail.token)).json(), REFUSED, 'after seven days')
  t.match((await revoke(newest.token)).json(), REFUSED)
  t.not(await verdict(app, login), 'good')
})

t.test('what is no token of a notice is refused', async (t) => {
  const { person, mail } = await loggedInElsewhere()
  await post(app, '/v1/recovery', { email: person.email })
  const recovery = await onlyMail(server)
  for (const token of [recovery.token, recovery.code, `${mail.token}x`, mail.token.toUpperCase(), 'sot_', ' '])
    t.match((await revoke(token)).json(), REFUSED, token)
  const bad = [{}, { token: '' }, { token: 1 }, { token: [mail.token] }, { token: 'x'.repeat(129) }, []]
  for (const body of [...bad, { token: mail.token, email: person.email }])
    t.match((await post(app, '/v1/notices/revoke', body)).json(), { code: 'validation_failed' }, JSON.stringify(body))
  await database.query("UPDATE accounts SET email = 'moved@example.com' WHERE id = $1", [person.id])
  t.match((await revoke(mail.token)).json(), REFUSED, 'the address changed')
  t.equal(await verdict(app, person), 'good')
})

const changeEmail = (token: string, to: string, password = PASSWORD) =>
  call(app, token, 'PUT', '/v1/me/email', { new_email: to, password })
const confirmEmail = async (token: string) => (await post(app, '/v1/email/confirm', { token })).statusCode
const sentTo = (mails: Mail[], to: string, kind: Mail['kind']) =>
  mails.find((one) => one.to === to && one.kind === kind)

t.test('what a thief asked for before can not be confirmed after it', async (t) => {
  const { thief, mail } = await loggedInElsewhere()
  await changeEmail(thief.access_token, 'thief@example.com')
  const pending = await onlyMail(server)
  await changeEmail(thief.access_token, 'late-thief@example.com')
  await revoke(mail.token)
  t.equal(await confirmEmail(pending.token), 400)
  t.same(
    (await mailOf(server)).map(({ kind }) => kind),
    ['recovery'],
    'and what waited is not sent',
  )
})

t.test('a thief who changes the address twice can not close the way back of the owner', async (t) => {
  const { person, thief } = await loggedInElsewhere()
  await changeEmail(thief.access_token, 'first@example.com')
  await confirmEmail((await onlyMail(server)).token)
  const told = await mailOf(server)
  const wayBack = sentTo(told, person.email, 'email_change_notice')
  t.match(sentTo(told, 'first@example.com', 'notice')?.letter.subject, /address .*changed/)
  await changeEmail(thief.access_token, 'second@example.com')
  await confirmEmail((await onlyMail(server)).token)
  const thiefs = await mailOf(server)
  const notMe = sentTo(thiefs, 'second@example.com', 'notice')?.token ?? ''
  const thiefsWayBack = sentTo(thiefs, 'first@example.com', 'email_change_notice')?.token ?? ''
  for (const token of [notMe, thiefsWayBack]) t.equal((await revoke(token)).statusCode, 204)
  await mailOf(server)
  t.equal((await revoke(wayBack?.token ?? '')).statusCode, 204)
  t.equal((await onlyMail(server)).to, person.email, 'the recovery goes to the owner')
  t.match((await revoke(thiefsWayBack)).json(), REFUSED)
  const [row] = await database.query('SELECT email, needs_recovery FROM accounts WHERE id = $1', [person.id])
  t.same(row, { email: person.email, needs_recovery: 1 })
})

t.test('the operator switches notices off, each of them or all', async (t) => {
  const { email } = await owner()
  await logIn(app, email, ELSEWHERE)
  const off: typeof server = { ...server, config: { ...server.config, NOTICES: ['none'] } }
  t.same(await mailOf(off), [], 'also what was caused before')

  for (const [notices, kinds] of [
    ['none', []],
    ['password_changed', [/password/]],
  ] as const) {
    const quiet = await serverAt(t, 1_800_000_000, { NOTICES: notices })
    const person = await signUp(quiet.app, HOME)
    const { access_token } = await logIn(quiet.app, person.email, ELSEWHERE)
    await call(quiet.app, access_token, 'PUT', '/v1/me/password', { current_password: PASSWORD, new_password: NEXT })
    t.match(
      (await mailOf(quiet)).map(({ letter }) => letter.subject),
      kinds,
    )
    const rows = await quiet.database.query('SELECT id FROM outbox')
    t.equal(rows.length, kinds.length, 'what is off is not even written')
  }
})
