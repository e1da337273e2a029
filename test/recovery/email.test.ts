import t from 'tap'
import { emailsOf } from '../../src/accounts/account.ts'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { PASSWORD } from '../support/app.ts'
import {
  claimsOf,
  logIn,
  post,
  publicPart,
  refreshed,
  serverAt,
  signUp,
  type User,
  verdict,
} from '../support/front-door.ts'
import { type Mail, mailOf, onlyMail } from '../support/inbox.ts'
import { call, NOBODY } from '../support/people.ts'

// The address of an account: changed, confirmed, and taken back.

const server = await serverAt(t, 1_800_000_000, { EMAIL_VERIFIED_CLAIM: 'on', NOTICES: 'none' })
const { app, database, keyring, now, pass } = server
const REFUSED = { status: 400, code: 'invalid_recovery_token' }

let count = 0
const newAddress = () => {
  count += 1
  return `new${count}@example.org`
}
const change = (token: string, new_email: string, password = PASSWORD) =>
  call(app, token, 'PUT', '/v1/me/email', { new_email, password })
const confirm = (body: object) => post(app, '/v1/email/confirm', body)
const account = async ({ access_token }: { access_token: string }) =>
  (await call(app, access_token, 'GET', '/v1/account')).json()
const byKind = (mails: Mail[], kind: Mail['kind']) => {
  const found = mails.filter((mail) => mail.kind === kind)
  if (found.length !== 1) throw new Error(`${found.length} messages of ${kind}`)
  return found[0] as Mail
}

/** Somebody whose address was changed. @returns the message to the former address, too */
async function changed(person?: User, to = newAddress()) {
  const owner = person ?? (await signUp(app))
  const reply = await change(owner.access_token, to)
  if (reply.statusCode !== 202) throw new Error(reply.body)
  const confirmation = byKind(await mailOf(server), 'email_change')
  const done = await confirm({ token: confirmation.token })
  if (done.statusCode !== 204) throw new Error(done.body)
  return { person: owner, to, notice: byKind(await mailOf(server), 'email_change_notice') }
}

async function addressesInTrail(accountId: string): Promise<Record<string, object>> {
  const sql = "SELECT event, detail FROM audit_events WHERE account_id = $1 AND detail LIKE '%email%' ORDER BY at"
  return Object.fromEntries(
    (await database.query(sql, [accountId])).map((e) => [e.event, JSON.parse(String(e.detail))]),
  )
}

t.test('an address changes when the new one confirms, and until then nothing does', async (t) => {
  for (const way of ['token', 'code'] as const) {
    const person = await signUp(app)
    const to = newAddress()
    const asked = await change(person.access_token, to)
    t.match(asked, { statusCode: 202, body: '{}' })
    t.match(await account(person), { email: person.email, email_verified: false })
    const mail = await onlyMail(server)
    t.match(mail, { to, kind: 'email_change' })
    t.match(mail.letter.data.link, /\/confirm-email#token=sot_/)
    const proof = way === 'token' ? { token: mail.token } : { email: to.toUpperCase(), code: mail.code.toLowerCase() }
    t.equal((await confirm(proof)).statusCode, 204)
    t.match(await account(person), { email: to, email_verified: true }, 'the session goes on')
    t.match((await confirm(proof)).json(), REFUSED, 'a second time')
    const notice = await onlyMail(server)
    const letter = { data: { until: String(now() + 604_800) } }
    t.match(notice, { to: person.email, kind: 'email_change_notice', letter })
    t.match(notice.letter.data.link, /\/not-me#token=sot_/)
    t.equal((await post(app, '/v1/login', { email: person.email, password: PASSWORD })).statusCode, 401)
    await logIn(app, to)
    const moved = emailsOf(to, person.email)
    t.same(await addressesInTrail(person.id), { email_change_requested: moved, email_changed: moved })
  }
})

t.test('the present address can be confirmed in the same way, and nobody is told of a change', async (t) => {
  const person = await signUp(app)
  await change(person.access_token, ` ${person.email.toUpperCase()} `)
  t.equal((await confirm({ token: (await onlyMail(server)).token })).statusCode, 204)
  t.match(await account(person), { email: person.email, email_verified: true })
  t.same(await mailOf(server), [])
})

t.test('a change asks for the password and for a login of the last five minutes', async (t) => {
  const person = await signUp(app)
  const wrong = await change(person.access_token, newAddress(), `${PASSWORD}!`)
  t.match(wrong.json(), { status: 401, code: 'invalid_credentials' })
  pass(301)
  for (const tokens of [person, await refreshed(app, person)])
    t.match((await change(tokens.access_token, newAddress())).json(), { code: 'insufficient_user_authentication' })
  t.equal((await app.inject({ method: 'PUT', url: '/v1/me/email', payload: {} })).statusCode, 401)
  t.same(await mailOf(server), [])
  const fresh = await logIn(app, person.email)
  for (const bad of ['ada', 'a@b@c', 'a@b.example\nBcc: c@d.example'])
    t.match((await change(fresh.access_token, bad)).json(), {
      code: 'validation_failed',
      errors: [{ field: '/new_email' }],
    })
  const events = await database.query('SELECT event FROM audit_events WHERE account_id = $1', [person.id])
  t.ok(events.some(({ event }) => event === 'email_change_failed'))
})

t.test('an address that somebody has: the same answer, no message, and it stays where it is', async (t) => {
  const [person, owner] = [await signUp(app), await signUp(app)]
  const free = await change(person.access_token, newAddress())
  const mail = await onlyMail(server)
  const taken = await change(person.access_token, owner.email)
  t.equal(publicPart(taken), publicPart(free))
  t.same(await mailOf(server), [])
  t.equal((await confirm({ token: mail.token })).statusCode, 204, 'and the message of before is still good')
  await mailOf(server)
})

t.test(
  'of an address that somebody took meanwhile the confirmation is refused, and nobody loses an account',
  async (t) => {
    const [person, rival] = [await signUp(app), await signUp(app)]
    const to = newAddress()
    await change(person.access_token, to)
    const mine = await onlyMail(server)
    await change(rival.access_token, to)
    const theirs = await onlyMail(server)
    const replies = await Promise.all([confirm({ token: mine.token }), confirm({ token: theirs.token })])
    t.same(replies.map(({ statusCode }) => statusCode).sort(), [204, 400])
    t.match(replies.find(({ statusCode }) => statusCode === 400)?.json(), REFUSED)
    t.same((await Promise.all([account(person), account(rival)])).filter(({ email }) => email === to).length, 1)
    await mailOf(server)
  },
)

t.test('a change of the password, a suspension and fifteen minutes make a confirmation worthless', async (t) => {
  const NEXT = 'a new horse battery staple'
  const spoils: Record<string, (person: User) => Promise<unknown>> = {
    'a new password': (person) =>
      call(app, person.access_token, 'PUT', '/v1/me/password', { current_password: PASSWORD, new_password: NEXT }),
    'a suspension': ({ id }) =>
      createAccountStore(database).change(id, { status: 'suspended' }, 1, {
        event: 'account_suspended',
        source: NOBODY,
      }),
    'fifteen minutes': async () => pass(900),
  }
  for (const [name, spoil] of Object.entries(spoils)) {
    const person = await signUp(app)
    const to = newAddress()
    await change(person.access_token, to)
    const mail = await onlyMail(server)
    await spoil(person)
    for (const proof of [{ token: mail.token }, { email: to, code: mail.code }])
      t.match((await confirm(proof)).json(), REFUSED, name)
    t.match(await database.query('SELECT email FROM accounts WHERE id = $1', [person.id]), [{ email: person.email }])
  }
})

/** @returns true when it was taken back */
const undo = async (token: string) => {
  const { statusCode } = await post(app, '/v1/notices/revoke', { token })
  return statusCode === 204
}

t.test(
  'the former owner takes an address back, after further changes too: everybody is out until a recovery',
  async (t) => {
    const { person, to, notice } = await changed()
    // The thief goes on: another password, another address, and the new mailbox is told of a way back as well.
    const thief = await logIn(app, to)
    const NEXT = 'a new horse battery staple'
    const passwords = { current_password: PASSWORD, new_password: NEXT }
    const renewed = (await call(app, thief.access_token, 'PUT', '/v1/me/password', passwords)).json()
    const third = newAddress()
    await mailOf(server)
    await call(app, renewed.access_token, 'PUT', '/v1/me/email', { new_email: third, password: NEXT })
    await confirm({ token: (await onlyMail(server)).token })
    const toThief = await onlyMail(server)
    t.equal(toThief.to, to)

    t.equal(await undo(notice.token), true)
    t.equal(await undo(notice.token), false, 'a second time')
    t.equal(await undo(toThief.token), false, 'the way back of the thief is gone')
    const rows = await database.query('SELECT email, needs_recovery FROM accounts WHERE id = $1', [person.id])
    t.same(rows, [{ email: person.email, needs_recovery: 1 }])
    t.same((await addressesInTrail(person.id)).email_change_undone, emailsOf(person.email, third))
    const live = await database.query('SELECT id FROM sessions WHERE account_id = $1 AND ended_at IS NULL', [person.id])
    t.same(live, [])
    const login = (password: string) => post(app, '/v1/login', { email: person.email, password })
    t.match((await login(NEXT)).json(), { status: 401, code: 'recovery_required' })
    t.match((await login(PASSWORD)).json(), { status: 401, code: 'invalid_credentials' })

    const { token, to: recovered } = await onlyMail(server)
    t.equal(recovered, person.email, 'the message for the recovery came by itself')
    t.equal((await post(app, '/v1/recovery/confirm', { token, new_password: PASSWORD })).statusCode, 204)
    await logIn(app, person.email)
  },
)

t.test('while a way back is open nobody else gets the address, and after seven days anybody does', async (t) => {
  const { person, notice } = await changed()
  const register = () => post(app, '/v1/accounts', { email: person.email, password: PASSWORD })
  t.match((await register()).json(), { code: 'email_taken' })
  const rival = await signUp(app)
  await change(rival.access_token, person.email)
  const [mail] = await mailOf(server)
  t.match((await confirm({ token: mail?.token ?? 'sot_x' })).json(), REFUSED)
  pass(604_800)
  t.equal(await undo(notice.token), false)
  t.equal((await register()).statusCode, 201)
})

t.test('the owner may go back to the former address himself', async (t) => {
  const { person, to } = await changed()
  await changed({ ...person, ...(await logIn(app, to)) }, person.email)
  t.match(await account(await logIn(app, person.email)), { email: person.email })
})

t.test('what the token and its page say of the address is what the account says', async (t) => {
  const person = await signUp(app)
  const says = async (tokens: { access_token: string }) => {
    const me = await call(app, tokens.access_token, 'GET', '/v1/me')
    t.equal(me.json().email_verified, claimsOf(tokens).email_verified)
    return claimsOf(tokens).email_verified
  }
  t.equal(await says(person), false)
  await change(person.access_token, person.email)
  await confirm({ token: (await onlyMail(server)).token })
  t.equal(await says(person), false, 'a token says what was true when it was made')
  t.equal(await says(await refreshed(app, person)), true)
  t.equal(await verdict(app, person), 'good')
  t.ok(keyring)
})

t.test('a server without the setting says nothing of it', async (t) => {
  const plain = await serverAt(t, 1_800_000_000)
  const person = await signUp(plain.app)
  t.notOk('email_verified' in claimsOf(person))
  const me = await call(plain.app, person.access_token, 'GET', '/v1/me')
  t.notOk('email_verified' in me.json())
})

t.test('a GET of these routes changes nothing: there is nothing to get', async (t) => {
  for (const url of ['/v1/recovery', '/v1/recovery/confirm', '/v1/email/confirm', '/v1/me/email'])
    t.match((await call(app, '', 'GET', url)).statusCode, 405, url)
})
