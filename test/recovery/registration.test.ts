import t from 'tap'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { createAdminister } from '../../src/accounts/administer.ts'
import { NOTE_NOTHING } from '../../src/administration/note-refusal.ts'
import { PASSWORD, registered } from '../support/app.ts'
import { logIn, post, publicPart, serverAt } from '../support/front-door.ts'
import { mailOf, onlyMail } from '../support/inbox.ts'
import { call, NOBODY } from '../support/people.ts'

// REGISTRATION=verified: an account works once its address is confirmed.

const server = await serverAt(t, 1_800_000_000, { REGISTRATION: 'verified', NOTICES: 'none' })
const { app, database, pass } = server
const NEXT = 'a new horse battery staple'

const register = (email: string, password = PASSWORD, more = {}) =>
  post(app, '/v1/accounts', { email, password, ...more })
const confirm = (body: object) => post(app, '/v1/email/confirm', body)
const loginCode = async (email: string, password: string) => {
  const reply = await post(app, '/v1/login', { email, password })
  return reply.statusCode === 200 ? 'good' : reply.json().code
}

t.test('an account works once its address is confirmed, by link or by code', async (t) => {
  for (const way of ['token', 'code'] as const) {
    const email = `${way}@example.com`
    t.match(await register(email), { statusCode: 202, body: '{}' })
    t.equal(await loginCode(email, PASSWORD), 'email_unverified')
    t.equal(await loginCode(email, NEXT), 'invalid_credentials', 'a wrong password learns nothing')
    const mail = await onlyMail(server)
    t.match(mail, { to: email, kind: 'registration' })
    t.equal((await confirm(way === 'token' ? { token: mail.token } : { email, code: mail.code })).statusCode, 204)
    t.equal(await loginCode(email, PASSWORD), 'good')
    const { access_token } = await logIn(app, email)
    t.match((await call(app, access_token, 'GET', '/v1/account')).json(), { email_verified: true, status: 'active' })
    t.equal((await confirm({ token: mail.token })).statusCode, 400, 'once')
  }
})

t.test('no role for an account whose address is not confirmed: the password may be a stranger’s', async (t) => {
  const email = 'squatted@example.com'
  await register(email)
  const mail = await onlyMail(server)
  const accounts = createAccountStore(database)
  const id = (await accounts.byEmail(email))?.id ?? ''
  const administer = createAdminister({
    accounts,
    noteRefusal: NOTE_NOTHING,
    revocationsApplied: async () => undefined,
    now: () => 1,
  })
  const by = { source: NOBODY, actorId: 'acc_admin' }
  const give = (roles: string[]) => administer.change(id, { roles }, by)
  await t.rejects(give(['support']), { code: 'validation_failed', fields: [{ field: '/roles' }] })
  t.match(await administer.change(id, { status: 'suspended' }, by), { status: 'suspended' })
  await administer.change(id, { status: 'active' }, by)
  t.equal((await confirm({ token: mail.token })).statusCode, 204)
  t.match(await give(['support']), { roles: ['support'] })
})

t.test('of an address that has an account nobody learns it, and its owner gets a message', async (t) => {
  const email = 'taken@example.com'
  await registered(app, email)
  const replies = [
    await register(email),
    await register('free@example.com'),
    await register('TAKEN@example.com ', NEXT),
  ]
  t.equal(new Set(replies.map(publicPart)).size, 1)
  t.same((await mailOf(server)).map(({ to, kind }) => `${kind} ${to}`).sort(), [
    'registration free@example.com',
    'registration_repeated taken@example.com',
    'registration_repeated taken@example.com',
  ])
  t.equal(await loginCode(email, PASSWORD), 'good', 'nothing about it changed')
  t.equal(await loginCode(email, NEXT), 'invalid_credentials')
})

t.test('while it waits the newest registration decides: its password, and its message', async (t) => {
  const email = 'twice@example.com'
  await register(email)
  const first = await onlyMail(server)
  pass(1)
  await register(email, NEXT)
  const second = await onlyMail(server)
  t.equal(await loginCode(email, PASSWORD), 'invalid_credentials')
  t.equal(await loginCode(email, NEXT), 'email_unverified')
  for (const proof of [{ token: first.token }, { email, code: first.code }])
    t.match((await confirm(proof)).json(), { code: 'invalid_recovery_token' })
  t.equal((await confirm({ token: second.token })).statusCode, 204)
  t.equal(await loginCode(email, NEXT), 'good')
  const count = await database.query('SELECT id FROM accounts WHERE email = $1', [email])
  t.equal(count.length, 1)
})

t.test('registrations of one address at once make one account, that its messages can confirm', async (t) => {
  const email = 'at-once@example.com'
  const passwords = Array.from({ length: 5 }, (_, n) => `password number ${n} of five`)
  await Promise.all(passwords.map((password) => register(email, password)))
  t.equal((await database.query('SELECT id FROM accounts WHERE email = $1', [email])).length, 1)
  const mails = await mailOf(server)
  t.equal(mails.length, 5)
  const outcomes = []
  for (const { token } of mails) outcomes.push((await confirm({ token })).statusCode)
  t.same(outcomes.toSorted(), [204, 400, 400, 400, 400], 'the newest token is the only one')
  const codes = await Promise.all(passwords.map((password) => loginCode(email, password)))
  t.same(codes.filter((code) => code === 'good').length, 1)
})

t.test('a registration is good for a day', async (t) => {
  await register('day@example.com')
  const mail = await onlyMail(server)
  pass(86_400)
  t.match((await confirm({ token: mail.token })).json(), { code: 'invalid_recovery_token' })
  await register('day@example.com', NEXT)
  t.equal((await confirm({ token: (await onlyMail(server)).token })).statusCode, 204)
})

t.test('a recovery confirms the address, too: it shows the same', async (t) => {
  const email = 'lost-mail@example.com'
  await register(email)
  await mailOf(server)
  await post(app, '/v1/recovery', { email })
  const { token } = await onlyMail(server)
  t.match((await confirm({ token })).json(), { code: 'invalid_recovery_token' }, 'but not on the other route')
  t.equal((await post(app, '/v1/recovery/confirm', { token, new_password: NEXT })).statusCode, 204)
  t.equal(await loginCode(email, NEXT), 'good')
})

t.test('passwords are held to their rules, for every address alike, before anything is written', async (t) => {
  const email = 'rules@example.com'
  await registered(app, email)
  const replies = [await register(email, 'short'), await register('free2@example.com', 'short')]
  t.equal(new Set(replies.map(publicPart)).size, 1)
  t.match(replies[0]?.json(), { status: 422, code: 'password_unacceptable' })
  t.match((await register('none')).json(), { code: 'validation_failed', errors: [{ field: '/email' }] })
  t.same(await mailOf(server), [])
})

t.test('the language of an account is chosen at its registration', async (t) => {
  await register('sprache@example.com', PASSWORD, { locale: 'de-CH' })
  t.match((await onlyMail(server)).letter, { language: 'de' })
  for (const locale of ['', 'x', 'de_CH', 'de-', '../de', 'a'.repeat(100), 1, ['de']])
    t.match((await register('l@example.com', PASSWORD, { locale })).json(), { code: 'validation_failed' }, `${locale}`)
})

t.test('an account from before, with its domain in Unicode, is one address with its present form', async (t) => {
  const [old, present] = ['old@bücher.example', 'old@xn--bcher-kva.example']
  await registered(app, old) // as a server of before leaves it
  for (const email of [old, present]) {
    await register(email)
    t.match(await onlyMail(server), { to: old, kind: 'registration_repeated' })
    await post(app, '/v1/recovery', { email })
    const { to, code } = await onlyMail(server)
    t.equal(to, old)
    for (const typed of [present, old]) {
      const reply = await post(app, '/v1/recovery/confirm', { email: typed, code, new_password: NEXT })
      t.equal(reply.statusCode, typed === present ? 204 : 400, `${email}, then ${typed}`)
    }
  }
})
