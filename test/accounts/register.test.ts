import t from 'tap'
import { bearer, PASSWORD, registered, startApp } from '../support/app.ts'
import { signUpAdmin } from '../support/front-door.ts'

const url = '/v1/accounts'

t.test('registration answers with the account and nothing secret', async (t) => {
  const { app } = await startApp(t)
  const reply = await app.inject({ method: 'POST', url, payload: { email: ' Ada@Example.COM ', password: PASSWORD } })
  t.equal(reply.statusCode, 201)
  t.match(reply.json(), {
    id: /^acc_[\w-]{22}$/,
    email: 'ada@example.com',
    roles: [],
    created_at: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
  })
  t.same(Object.keys(reply.json()).sort(), ['created_at', 'email', 'id', 'roles'])
})

t.test('a second registration of the same email is 409 in every spelling, and of two at once one wins', async (t) => {
  const { app } = await startApp(t)
  const register = (email: string) => app.inject({ method: 'POST', url, payload: { email, password: PASSWORD } })
  const both = await Promise.all([register('jürgen@example.com'), register('jürgen@example.com')])
  t.same(both.map((reply) => reply.statusCode).sort(), [201, 409])
  for (const email of ['JÜRGEN@EXAMPLE.COM', '\tjürgen@example.com ', 'ju\u0308rgen@example.com']) {
    const reply = await register(email)
    t.equal(reply.statusCode, 409, email)
    t.equal(reply.json().code, 'email_taken')
  }
})

t.test('closed registration is 403', async (t) => {
  const { app } = await startApp(t, { env: { REGISTRATION: 'closed' } })
  const reply = await app.inject({ method: 'POST', url, payload: { email: 'ada@example.com', password: PASSWORD } })
  t.equal(reply.statusCode, 403)
  t.equal(reply.json().code, 'registration_closed')
})

t.test('an internationalised domain is one account, in Unicode, as Chrome submits it, and with any dot', async (t) => {
  const { app } = await startApp(t)
  const WAYS = [
    ['user@bücher.example', 'user@xn--bcher-kva.example', 'User@BÜCHER。example'],
    ['user@xn--r8jz45g.example', 'user@例え。example', 'user@例え.example'],
  ]
  for (const ways of WAYS) {
    const [first = ''] = ways
    const made = await app.inject({ method: 'POST', url, payload: { email: first, password: PASSWORD } })
    t.equal(made.statusCode, 201, first)
    t.match(made.json().email, /^user@xn--/)
    for (const email of ways) {
      const again = await app.inject({ method: 'POST', url, payload: { email, password: PASSWORD } })
      t.equal(again.json().code, 'email_taken', email)
      const login = await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password: PASSWORD } })
      t.equal(login.statusCode, 200, email)
    }
  }
})

t.test(
  'an account from before, with its domain in Unicode, is found in every spelling and not made twice',
  async (t) => {
    const server = await startApp(t)
    const { app } = server
    await registered(app, 'old@bücher.example') // as a server of before leaves it
    const admin = await signUpAdmin(server)
    for (const email of ['old@bücher.example', 'old@xn--bcher-kva.example', 'OLD@bücher。example']) {
      const login = await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password: PASSWORD } })
      t.equal(login.statusCode, 200, email)
      const again = await app.inject({ method: 'POST', url, payload: { email, password: PASSWORD } })
      t.equal(again.json().code, 'email_taken', email)
      const found = await app.inject({
        url: `/v1/admin/accounts?email=${encodeURIComponent(email)}`,
        headers: bearer(admin.access_token),
      })
      t.equal(found.json().accounts.length, 1, email)
    }
  },
)

t.test('what is no email address is refused by field', async (t) => {
  const { app } = await startApp(t)
  for (const email of [
    'ada',
    'ada@',
    '@example.com',
    'a b@example.com',
    'a@b@c',
    'a@.com',
    'a@b..c',
    `${'x'.repeat(65)}@b.co`,
    'a\u0000@b.co',
    'a@-b.co',
    'ａda@b.co',
    'a\u3164@b.co',
    'ada@b%C3%BCcher.example',
    'ada@büc\u00adher.example',
  ]) {
    const reply = await app.inject({ method: 'POST', url, payload: { email, password: PASSWORD } })
    t.equal(reply.statusCode, 400, email)
    t.match(reply.json(), { code: 'validation_failed', errors: [{ field: '/email' }] })
  }
})

t.test('weak passwords are refused with the reason and without repeating them', async (t) => {
  const { app } = await startApp(t, { env: { PASSWORD_MIN_LENGTH: '8' } })
  const WEAK: [password: string, reason: RegExp][] = [
    ['short', /at least 8/],
    ['password', /common/],
    ['PassWord', /common/],
    ['iloveyou1', /common/],
    ['sunshinesunshinesunshine', /common/],
    ['password12345678', /common/],
    ['12345678901234', /run/],
    ['zyxwvutsrqp', /run/],
    ['example.com example.com', /anybody would try/],
    ['Signet-2026!', /anybody would try/],
    ['aaaaaaaaaaaa', /repeated/],
    ['xyxyxyxyxyxy', /repeated/],
    ['is-lovelace-good', /name of the email/],
    [`${'x'.repeat(511)}yz`, /more than 512/],
  ]
  for (const [password, reason] of WEAK) {
    const reply = await app.inject({ method: 'POST', url, payload: { email: 'lovelace@example.com', password } })
    t.equal(reply.statusCode, 422, password.slice(0, 20))
    t.match(reply.json(), {
      code: 'password_unacceptable',
      detail: reason,
      errors: [{ field: '/password', message: reason }],
    })
    t.notOk(password.length > 8 && reply.body.includes(password))
  }
})

t.test('length is the only rule of composition, and every character of Unicode counts as one', async (t) => {
  const { app } = await startApp(t)
  const GOOD = [
    'all lower case words',
    `${' '.repeat(3)}leading and trailing   `,
    '密码学是一门有趣的科学与艺术呢',
    '🐎🔋📎🐴🌲🌊🔥🎈🎁🎀🧭🧵🧶🪁🪀',
    'x1'.repeat(1) + 'y'.repeat(200) + 'Q'.repeat(54),
  ]
  for (const [index, password] of GOOD.entries()) {
    const email = `good${index}@example.com`
    t.equal((await app.inject({ method: 'POST', url, payload: { email, password } })).statusCode, 201, password)
    t.equal((await app.inject({ method: 'POST', url: '/v1/login', payload: { email, password } })).statusCode, 200)
    const cut = await app.inject({
      method: 'POST',
      url: '/v1/login',
      payload: { email, password: [...password].slice(0, -1).join('') },
    })
    t.equal(cut.statusCode, 401, 'nothing is cut')
  }
  const fourteen = await app.inject({
    method: 'POST',
    url,
    payload: { email: 'a14@example.com', password: '🐎'.repeat(7) + '🔋'.repeat(7) },
  })
  t.match(fourteen.json().detail, /14 characters/)
})

t.test('the same password typed on another system logs in: NFC and NFD, full width and plain', async (t) => {
  const { app } = await startApp(t)
  await app.inject({ method: 'POST', url, payload: { email: 'nf@example.com', password: 'Zürich is pretty Ａ' } })
  for (const password of ['Zu\u0308rich is pretty A', 'Zürich is pretty A']) {
    t.equal(
      (await app.inject({ method: 'POST', url: '/v1/login', payload: { email: 'nf@example.com', password } }))
        .statusCode,
      200,
    )
  }
})
