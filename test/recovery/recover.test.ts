import t from 'tap'
import { createAccountStore } from '../../src/accounts/account-store.ts'
import { anotherNode } from '../support/another-node.ts'
import { PASSWORD, registered } from '../support/app.ts'
import { logIn, post, publicPart, serverAt, signUp, verdict } from '../support/front-door.ts'
import { mailOf, onlyMail } from '../support/inbox.ts'
import { call, NOBODY } from '../support/people.ts'

// A forgotten password, from the request through the message to the new session.

const server = await serverAt(t, 1_800_000_000, { NOTICES: 'none' })
const { app, database, log, pass } = server
const NEXT = 'a new horse battery staple'

const ask = (email: string, headers = {}) =>
  app.inject({ method: 'POST', url: '/v1/recovery', payload: { email }, headers })
const confirm = (body: object) => post(app, '/v1/recovery/confirm', { new_password: NEXT, ...body })
const loginStatus = async (email: string, password: string) => {
  const reply = await post(app, '/v1/login', { email, password })
  return reply.statusCode === 200 ? 200 : reply.json().code
}
const setStatus = (id: string, status: 'active' | 'suspended') =>
  createAccountStore(database).change(id, { status }, 1, { event: 'account_suspended', source: NOBODY })
const eventsOf = async (accountId: string) =>
  (await database.query('SELECT event FROM audit_events WHERE account_id = $1 ORDER BY at, event', [accountId])).map(
    ({ event }) => String(event),
  )
const REFUSED = { status: 400, code: 'invalid_recovery_token' }

/** An account, and the message with which its owner can set a new password. */
async function asked(email?: string) {
  const person = email === undefined ? await signUp(app) : { email, id: await registered(app, email) }
  await ask(person.email)
  return { ...person, mail: await onlyMail(server) }
}

t.test('every address gets the same answer, and only the owner of an active account a message', async (t) => {
  const [known, suspended, unverified] = [await signUp(app), await signUp(app), await signUp(app)]
  await setStatus(suspended.id, 'suspended')
  await database.query('UPDATE accounts SET awaits_confirmation = 1 WHERE id = $1', [unverified.id])
  const addresses = [known.email, suspended.email, unverified.email, 'nobody@example.com', 'nobody@例え.example']
  const replies = []
  for (const email of addresses) replies.push(await ask(email))
  t.equal(new Set(replies.map(publicPart)).size, 1)
  t.match(replies[0], { statusCode: 202, body: '{}' })
  t.same((await mailOf(server)).map(({ to }) => to).sort(), [known.email, unverified.email].sort())
  const left = await database.query(
    "SELECT state FROM outbox WHERE sealed IS NOT NULL OR state NOT IN ('sent', 'dropped')",
  )
  t.same(left, [], 'and nothing of it is kept')
})

t.test('the request does the same work for every address: it looks at no account', async (t) => {
  const { email } = await signUp(app)
  const statements: string[][] = []
  for (const method of ['query', 'transaction'] as const) {
    const original = database[method] as (...args: unknown[]) => unknown
    Object.assign(database, {
      [method]: (...args: unknown[]) => {
        const asked = (Array.isArray(args[0]) ? args[0].map(({ sql }) => sql) : [args[0]]) as string[]
        if (!asked.some((sql) => /revocation/.test(sql))) statements.push(asked)
        return original.apply(database, args)
      },
    })
    t.teardown(() => Object.assign(database, { [method]: original }))
  }
  for (const address of [email, 'nobody@example.com']) await ask(address)
  const [known = [], unknown] = statements
  t.equal(statements.length, 2, 'one transaction each')
  t.same(known, unknown)
  t.notOk(known.some((sql) => /accounts/.test(sql)))
  await mailOf(server)
})

for (const way of ['token', 'code'] as const)
  t.test(`the ${way} of the message sets a new password, once, and ends every session`, async (t) => {
    const person = await asked()
    const { email, id, mail } = person as typeof person & Awaited<ReturnType<typeof signUp>>
    const other = await logIn(app, email)
    for (const tokens of [person, other] as { access_token: string }[]) t.equal(await verdict(app, tokens), 'good')
    const proof = way === 'token' ? { token: mail.token } : { email: ` ${email.toUpperCase()} `, code: mail.code }
    const done = await confirm(proof)
    t.match(done, { statusCode: 204, body: '' })
    t.equal(done.headers['set-cookie'], undefined, 'it is no login')
    for (const tokens of [person, other] as { access_token: string }[])
      t.equal(await verdict(app, tokens), 'invalid_token')
    t.equal(await loginStatus(email, PASSWORD), 'invalid_credentials')
    t.equal(await loginStatus(email, NEXT), 200)
    t.match((await confirm(proof)).json(), REFUSED, 'a second time')
    t.equal(await loginStatus(email, NEXT), 200)
    const { access_token } = (await post(app, '/v1/login', { email, password: NEXT })).json()
    t.equal((await call(app, access_token, 'GET', '/v1/account')).json().email_verified, true)
    t.same(
      new Set((await eventsOf(id)).filter((event) => /recover/.test(event))),
      new Set(['password_recovered', 'recovery_sent']),
    )
  })

t.test('a password that is not acceptable uses up neither token nor code', async (t) => {
  const { email, mail } = await asked('weak.person@example.com')
  const WEAK = ['short', 'passwordpassword', `my name is weak.person`]
  const UNACCEPTABLE = { code: 'password_unacceptable', errors: [{ field: '/new_password' }] }
  for (const proof of [{ token: mail.token }, { email, code: mail.code }])
    for (const new_password of WEAK.flatMap((password) => Array(6).fill(password)))
      t.match((await confirm({ ...proof, new_password })).json(), UNACCEPTABLE)
  t.equal((await confirm({ email, code: mail.code })).statusCode, 204)
})

t.test('a code can be tried ten times, also at once, and then only the link works', async (t) => {
  const { email, mail } = await asked('codes@example.com')
  const wrong = mail.code.startsWith('2') ? `3${mail.code.slice(1)}` : `2${mail.code.slice(1)}`
  for (const reply of await Promise.all(Array.from({ length: 9 }, () => confirm({ email, code: wrong }))))
    t.match(reply.json(), REFUSED)
  const weak = await confirm({ email, code: mail.code, new_password: 'short' })
  t.equal(weak.statusCode, 422, 'after nine it is still good')
  t.match((await confirm({ email, code: 'no code' })).json(), REFUSED)
  t.match((await confirm({ email, code: mail.code })).json(), REFUSED, 'after ten it is not')
  t.equal((await confirm({ token: mail.token })).statusCode, 204)
})

t.test('whatever is wrong with a token or a code, the answer is the same', async (t) => {
  const { email, mail } = await asked('same-answer@example.com')
  const other = await asked('other@example.com')
  const change = await signUp(app)
  await call(app, change.access_token, 'PUT', '/v1/me/email', { new_email: 'x@example.com', password: PASSWORD })
  const foreign = await onlyMail(server)
  const proofs: Record<string, object> = {
    'no token': { token: 'sot_x' },
    'one changed': { token: mail.token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')) },
    'another purpose': { token: foreign.token },
    'a code of another purpose': { email: 'x@example.com', code: foreign.code },
    'the code of somebody else': { email, code: other.mail.code },
    'an address without an account': { email: 'nobody@example.com', code: mail.code },
    'an address that is none': { email: 'none@@', code: mail.code },
    'a code that is none': { email, code: '!' },
  }
  const refused = new Set<string>()
  for (const proof of Object.values(proofs)) refused.add(publicPart(await confirm(proof)))
  t.equal(refused.size, 1, [...refused].join('\n'))
  t.match([...refused][0], /invalid_recovery_token/)
  t.equal((await confirm({ token: mail.token })).statusCode, 204)
})

t.test('the newest message wins, and a code is that of the newest', async (t) => {
  const { email, mail: first } = await asked('newest@example.com')
  pass(1)
  await ask(email)
  const second = await onlyMail(server)
  for (const proof of [{ token: first.token }, { email, code: first.code }])
    t.match((await confirm(proof)).json(), REFUSED)
  t.equal((await confirm({ email, code: second.code })).statusCode, 204)
})

t.test('after fifteen minutes a message is worthless, one second before it is not', async (t) => {
  const [late, early] = [await asked('late@example.com'), await asked('early@example.com')]
  pass(899)
  t.equal((await confirm({ email: early.email, code: early.mail.code })).statusCode, 204)
  pass(1)
  for (const proof of [{ token: late.mail.token }, { email: late.email, code: late.mail.code }])
    t.match((await confirm(proof)).json(), REFUSED)
})

t.test('a change of the password makes a message worthless, and so does a suspension while it lasts', async (t) => {
  const person = await signUp(app)
  await ask(person.email)
  const before = await onlyMail(server)
  const passwords = { current_password: PASSWORD, new_password: NEXT }
  t.equal((await call(app, person.access_token, 'PUT', '/v1/me/password', passwords)).statusCode, 200)
  t.match((await confirm({ token: before.token })).json(), REFUSED)
  await ask(person.email)
  const mail = await onlyMail(server)
  await setStatus(person.id, 'suspended')
  t.match((await confirm({ token: mail.token })).json(), REFUSED)
  await ask(person.email)
  t.same(await mailOf(server), [])
  await setStatus(person.id, 'active')
  await ask(person.email)
  t.equal((await confirm({ token: (await onlyMail(server)).token })).statusCode, 204)
})

t.test('a body has one of the two forms, and what is no address is refused by field', async (t) => {
  const token = 'sot_x'
  for (const body of [
    {},
    { token, code: 'x' },
    { token, email: 'a@b.example' },
    { email: 'a@b.example' },
    { code: 'x' },
  ])
    t.match((await confirm(body)).json(), { status: 400, code: 'validation_failed' }, JSON.stringify(body))
  for (const body of [
    { token: 1 },
    { token: [token] },
    { token, id: 'acc_x' },
    { token: 'x'.repeat(129) },
    { token, new_password: 1 },
  ])
    t.match((await confirm(body)).json(), { status: 400, code: 'validation_failed' }, JSON.stringify(body))
  for (const email of ['ada', 'a@b@c', 'a b@example.com', 'a@b.example\r\nBcc: c@d.example', 'x'.repeat(321)])
    t.match((await ask(email)).json(), { status: 400, code: 'validation_failed', errors: [{ field: '/email' }] }, email)
})

t.test(
  'the message is in the language of the account, else of the request, and its link has the token in the fragment',
  async (t) => {
    const { email, id } = await signUp(app)
    const language = async (header: string) => {
      await ask(email, { 'accept-language': header })
      return (await onlyMail(server)).letter.language
    }
    t.equal(await language('de-CH, en;q=0.5'), 'de')
    t.equal(await language('xx'), 'en')
    await database.query("UPDATE accounts SET locale = 'de' WHERE id = $1", [id])
    await ask(email, { 'accept-language': 'en' })
    const { letter } = await onlyMail(server)
    t.equal(letter.language, 'de')
    t.match(letter.data.link, /^http:\/\/[^?#]*\/recover#token=sot_/)
  },
)

t.test('neither address nor token nor code nor password stands in the log or in the audit trail', async (t) => {
  const { email, mail } = await asked('never-logged@example.com')
  await confirm({ email, code: '22222222' })
  await confirm({ token: mail.token })
  const rows = JSON.stringify(await database.query('SELECT * FROM audit_events'))
  for (const secret of [email, mail.token, mail.code, NEXT]) {
    t.notOk(log.some((line) => line.includes(secret)))
    t.notOk(rows.includes(secret))
  }
  const [failed] = await database.query(
    "SELECT detail FROM audit_events WHERE event = 'recovery_failed' ORDER BY at DESC",
  )
  t.match(failed, { detail: /reason/ })
})

t.test('with the store away the answer is 503, and the token stays good', async (t) => {
  const { email, mail } = await asked('outage@example.com')
  const { app: cut, link } = await anotherNode(t, server, { now: server.now })
  link.cut = true
  for (const [url, payload] of [
    ['/v1/recovery', { email }],
    ['/v1/recovery/confirm', { token: mail.token, new_password: NEXT }],
    ['/v1/recovery/confirm', { email, code: mail.code, new_password: NEXT }],
    ['/v1/email/confirm', { token: mail.token }],
  ] as const)
    t.match((await post(cut, url, payload)).json(), { status: 503, code: 'store_unavailable' })
  t.equal((await confirm({ token: mail.token })).statusCode, 204)
})
