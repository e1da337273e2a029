import t from 'tap'
import { NOTE_NOTHING } from '../../src/administration/note-refusal.ts'
import { NO_LIMITS } from '../../src/limits/limiter.ts'
import { createInvite } from '../../src/recovery/invite.ts'
import { createLinks } from '../../src/recovery/links.ts'
import { PASSWORD, registered, startApp } from '../support/app.ts'
import { logIn, post, publicPart, signUpAdmin } from '../support/front-door.ts'
import { limited } from '../support/limited-server.ts'
import { NOW, register, tokenOf } from '../support/oauth.ts'
import { call, NOBODY } from '../support/people.ts'

// What bounds the calls that send messages, and that take what is in them.

const NETWORKS = (n: number) => `198.51.100.${n}`

t.test('five messages an hour go to one address, whoever asks and whether it has an account', async (t) => {
  const { app, pass } = await limited(t)
  await registered(app, 'known@example.com')
  let network = 0
  const ask = (email: string) => {
    network += 1
    return post(app, '/v1/recovery', { email }, { ip: NETWORKS(network) })
  }
  const refused = []
  for (const email of ['known@example.com', 'unknown@example.com']) {
    for (let n = 0; n < 5; n += 1) t.equal((await ask(n % 2 ? email : email.toUpperCase())).statusCode, 202)
    refused.push(await ask(email))
  }
  const [known, unknown] = refused
  t.match(known?.json(), { status: 429, code: 'too_many_requests' })
  t.match(known?.headers['retry-after'], /^\d+$/)
  t.equal(publicPart(known as never), publicPart(unknown as never))
  const { access_token } = await logIn(app, 'known@example.com')
  const change = await call(app, access_token, 'PUT', '/v1/me/email', {
    new_email: 'unknown@example.com',
    password: PASSWORD,
  })
  t.equal(change.statusCode, 429, 'a change of address spends from the same')
  pass(720)
  t.equal((await ask('known@example.com')).statusCode, 202, 'it grows back evenly')
})

t.test(
  'admins send five an hour to one address, machines too, and take none from each other or its owner',
  async (t) => {
    const server = await limited(t)
    const { app } = server
    const { access_token } = await signUpAdmin(server)
    const machine = await tokenOf(app, await register(server, { scope: 'signet:accounts:write' }))
    const admin = (method: 'POST' | 'DELETE', path: string, body?: object) =>
      call(app, access_token, method, `/v1/admin/accounts${path}`, body)
    const id = await registered(app, 'known@example.com')
    const url = `/v1/admin/accounts/${id}/send-recovery`
    for (let n = 0; n < 5; n += 1) t.equal((await call(app, machine, 'POST', url)).statusCode, 202)
    t.equal((await call(app, machine, 'POST', url)).statusCode, 429)
    for (let n = 0; n < 5; n += 1) t.equal((await admin('POST', `/${id}/send-recovery`)).statusCode, 202)
    t.match((await admin('POST', `/${id}/send-recovery`)).json(), { status: 429, code: 'too_many_requests' })
    t.equal((await post(app, '/v1/recovery', { email: 'known@example.com' })).statusCode, 202)
    for (let n = 0; n < 5; n += 1) {
      const made = await admin('POST', '', { email: n % 2 ? 'New@example.com' : 'new@example.com' })
      t.equal(made.statusCode, 201)
      t.equal((await admin('DELETE', `/${made.json().id}`)).statusCode, 204)
    }
    t.match((await admin('POST', '', { email: 'new@example.com' })).json(), { code: 'too_many_requests' })
  },
)

t.test('the hash of an invitation takes a place in the share of the network that asks', async (t) => {
  const asked: unknown[] = []
  const invite = createInvite({
    accounts: { byEmail: async () => undefined, insert: async () => true },
    accountFor: async () => t.fail('nobody is looked up') as never,
    passwords: {
      hash: async (_, by) => {
        asked.push(by)
        return 'hash'
      },
    },
    enqueue: async () => [],
    database: { transaction: async () => [] },
    limiter: NO_LIMITS,
    noteRefusal: NOTE_NOTHING,
    now: () => NOW,
  })
  const source = { ...NOBODY, ip: '192.0.2.7' }
  await invite.create({ email: 'a@example.com' }, { actorId: 'client_x', source })
  t.same(asked, [{ network: '192.0.2.7' }])
})

t.test('with REGISTRATION=verified registrations spend from it, too', async (t) => {
  const { app } = await limited(t, { REGISTRATION: 'verified', RATE_LIMIT_REGISTER_PER_EMAIL: '0' })
  const payload = { email: 'ada@example.com', password: PASSWORD }
  const statuses = []
  for (let n = 1; n <= 6; n += 1)
    statuses.push((await post(app, '/v1/accounts', payload, { ip: NETWORKS(n) })).statusCode)
  t.same(statuses, [202, 202, 202, 202, 202, 429])
})

t.test('a network asks and confirms twenty times a minute, and a refusal costs no hash and no row', async (t) => {
  const { app, database } = await limited(t, { RATE_LIMIT_MESSAGES_PER_EMAIL: '0' })
  const CALLS: [url: string, body: object][] = [
    ['/v1/recovery', { email: 'ada@example.com' }],
    ['/v1/recovery/confirm', { token: 'sot_x', new_password: PASSWORD }],
    ['/v1/email/confirm', { email: 'ada@example.com', code: 'x' }],
  ]
  for (const [index, [url, body]] of CALLS.entries()) {
    const ip = NETWORKS(index)
    for (let n = 0; n < 20; n += 1) t.not((await post(app, url, body, { ip })).statusCode, 429)
    t.match((await post(app, url, body, { ip })).json(), { code: 'too_many_requests' }, url)
  }
  const rows = await database.query('SELECT event, COUNT(*) AS n FROM audit_events GROUP BY event ORDER BY event')
  t.same(rows, [
    { event: 'email_confirmation_failed', n: 20 },
    { event: 'recovery_failed', n: 20 },
    { event: 'recovery_requested', n: 20 },
  ])
})

t.test('a server that sends no messages has none of the routes, and its document names none', async (t) => {
  const env = { NODE_ENV: 'production', ISSUER: 'https://auth.example.com', MAIL_URL: undefined as unknown as string }
  const { app } = await startApp(t, { env })
  const { paths } = (await app.inject('/openapi.json')).json()
  for (const [method, url] of [
    ['POST', '/v1/recovery'],
    ['POST', '/v1/recovery/confirm'],
    ['POST', '/v1/email/confirm'],
    ['PUT', '/v1/me/email'],
    ['POST', '/v1/admin/accounts/acc_x/send-recovery'],
  ] as const) {
    t.match((await app.inject({ method, url, payload: {} })).json(), { status: 404, code: 'not_found' }, url)
    t.notOk(url in paths, url)
  }
})

t.test('a link leads to the application, with the token in its fragment', async (t) => {
  const settings = { LINK_RECOVER: '/recover#token={token}', LINK_CONFIRM_EMAIL: '/a#/b?t={token}&x', LINK_NOT_ME: '' }
  const links = (APP_URL: string, LINK_NOT_ME = 'https://other.example/x#{token}') =>
    createLinks({ ...settings, APP_URL, LINK_NOT_ME })
  t.equal(links('https://app.example.com').recover('sot_$&'), 'https://app.example.com/recover#token=sot_$&')
  t.equal(links('https://example.com/app/').confirmEmail('T'), 'https://example.com/app/a#/b?t=T&x')
  t.equal(links('https://app.example.com').notMe('T'), 'https://other.example/x#T')
})
