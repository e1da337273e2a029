import t, { type Test } from 'tap'
import { createSession, type Session } from '../../src/client/index.ts'
import { PASSWORD, startApp, type TestServer } from '../support/app.ts'
import { type Mail, mailOf, onlyMail } from '../support/inbox.ts'
import { json, problem } from './fake-server.ts'
import { API, CREDENTIALS, scene } from './tabs.ts'

const NEXT = 'a new horse battery staple'
const done204 = () => new Response(null, { status: 204 })

t.test('each call is one request, and only the right answer is a success', async (t) => {
  const { session, server, done, codeOf, changes } = scene(t)
  await done(session.login(CREDENTIALS))
  const CASES: [path: string, call: () => Promise<unknown>, good: number, body: object][] = [
    ['/v1/recovery', () => session.recover('a@b.example'), 202, { email: 'a@b.example' }],
    [
      '/v1/recovery/confirm',
      () => session.confirmRecovery({ token: 'sot_1', newPassword: NEXT }),
      204,
      { token: 'sot_1', new_password: NEXT },
    ],
    [
      '/v1/recovery/confirm',
      () => session.confirmRecovery({ email: 'a@b.example', code: 'K7QX', newPassword: NEXT }),
      204,
      { email: 'a@b.example', code: 'K7QX', new_password: NEXT },
    ],
    ['/v1/email/confirm', () => session.confirmEmail({ token: 'sot_1' }), 204, { token: 'sot_1' }],
    [
      '/v1/email/confirm',
      () => session.confirmEmail({ email: 'a@b.example', code: 'K7QX' }),
      204,
      { email: 'a@b.example', code: 'K7QX' },
    ],
    [
      '/v1/me/email',
      () => session.changeEmail({ newEmail: 'a@b.example', password: PASSWORD }),
      202,
      { new_email: 'a@b.example', password: PASSWORD },
    ],
    ['/v1/notices/revoke', () => session.notMe('sot_1'), 204, { token: 'sot_1' }],
  ]
  for (const [path, call, status, body] of CASES) {
    const before = server.seen.length
    const answers = (reply: () => Response | Error) => {
      server.routes[path] = reply
    }
    answers(() => (status === 204 ? done204() : json({}, status)))
    t.equal(await codeOf(call()), 'none', path)
    t.equal(server.seen.length, before + 1, path)
    const seen = server.seen.at(-1)
    const isMine = path === '/v1/me/email'
    t.same([seen?.body, seen?.method], [body, isMine ? 'PUT' : 'POST'], path)
    t.equal(seen?.headers.get('authorization') !== null, isMine, `${path}: the token goes nowhere else`)
    for (const [code, status] of Object.entries({ invalid_recovery_token: 400, not_found: 404, overloaded: 503 })) {
      answers(() => problem(code, status))
      t.equal(await codeOf(call()), code, path)
    }
    answers(() => new Response('<html>'))
    t.equal(await codeOf(call()), 'unexpected_answer', `${path}: a captive portal`)
    answers(() => new TypeError('offline'))
    t.equal(await codeOf(call()), 'network_error', path)
  }
  t.same([session.state, changes], ['signed-in', [['signed-in', 'login']]], 'nothing of that ends the session')
})

t.test('registration with confirmation signs nobody in, and does not try', async (t) => {
  const { session, server, done, changes } = scene(t, {}, { '/v1/accounts': () => json({}, 202) })
  t.equal(await done(session.register(CREDENTIALS)), 'confirm-email')
  t.same([server.count('/v1/login'), session.state, changes], [0, 'unknown', []])
  server.routes['/v1/accounts'] = () => json({ id: 'acc_1' }, 201)
  t.equal(await done(session.register(CREDENTIALS)), 'signed-in')
})

t.test('a change of address renews what is too old for it: the token, the login, or both', async (t) => {
  const { session, server, done, codeOf } = scene(t)
  const change = { newEmail: 'b@example.com', password: PASSWORD }
  t.equal(await codeOf(session.logout().then(() => session.changeEmail(change))), 'signed_out')
  await done(session.login(CREDENTIALS))
  const CASES: [what: string, refusals: string[], asked: Record<string, number>][] = [
    ['the token', ['token_stale'], { refresh: 1, reauthenticate: 0, 'me/email': 2 }],
    ['the login', ['insufficient_user_authentication'], { refresh: 0, reauthenticate: 1, 'me/email': 2 }],
    ['both', ['token_stale', 'insufficient_user_authentication'], { refresh: 1, reauthenticate: 1, 'me/email': 3 }],
  ]
  server.routes['/v1/reauthenticate'] = (seen) => server.routes['/v1/refresh']?.(seen) as Response
  for (const [what, refusals, asked] of CASES) {
    server.seen.length = 0
    const left = [...refusals]
    server.routes['/v1/me/email'] = () => (left.length > 0 ? problem(left.shift() as string, 401) : json({}, 202))
    t.equal(await codeOf(session.changeEmail(change)), 'none', what)
    t.same(Object.fromEntries(Object.keys(asked).map((path) => [path, server.count(`/v1/${path}`)])), asked, what)
  }
  server.routes['/v1/me/email'] = () => problem('insufficient_user_authentication', 401)
  t.equal(await codeOf(session.changeEmail(change)), 'insufficient_user_authentication', 'and not for ever')
  server.routes['/v1/reauthenticate'] = () => problem('invalid_credentials', 401)
  t.equal(await codeOf(session.changeEmail(change)), 'invalid_credentials')
  t.equal((await done(session.fetch(API))).status, 200, 'the session goes on')
})

// Against the real server. Each session is a device of its own: the tokens are in its memory.

const ISSUER = 'https://auth.example.com'
const settings = { ISSUER, AUDIENCE: ISSUER, REGISTRATION: 'verified', NOTICES: 'password_changed' }
const fetchFrom = ({ app }: TestServer) =>
  (async (input: string, init: RequestInit = {}) => {
    const reply = await app.inject({
      method: (init.method ?? 'GET') as 'GET',
      url: input.slice(ISSUER.length),
      headers: Object.fromEntries(new Headers(init.headers)),
      ...(init.body && { payload: init.body as string }),
    })
    const body = reply.statusCode === 204 ? null : reply.body
    return new Response(body, { status: reply.statusCode, headers: reply.headers as Record<string, string> })
  }) as typeof globalThis.fetch

function deviceAt(t: Test, server: TestServer): Session & { ends: string[] } {
  const session = createSession({ issuer: ISSUER, transport: 'body', fetch: fetchFrom(server) })
  t.teardown(() => session.close())
  const ends: string[] = []
  session.onChange((state, why) => state === 'signed-out' && ends.push(why))
  return Object.assign(Object.create(session), { ends })
}
const code = (call: Promise<unknown>) => call.then(String, (error) => error.code)
const proofOf = ({ to: email, code }: Mail) => ({ email, code })
const isRefused = async (one: Session) => (await one.fetch(`${ISSUER}/v1/me`)).status === 401

t.test('from the registration through a forgotten password and a new address to "not me"', async (t) => {
  const server = await startApp(t, { env: settings })
  const device = () => deviceAt(t, server)
  const [phone, laptop] = [device(), device()]
  const email = 'ada@example.com'
  t.equal(await phone.register({ email, password: PASSWORD }), 'confirm-email')
  t.equal(await code(phone.login({ email, password: PASSWORD })), 'email_unverified')
  await phone.confirmEmail(proofOf(await onlyMail(server)))
  for (const one of [phone, laptop]) await one.login({ email, password: PASSWORD })

  await phone.recover(email)
  const recovery = await onlyMail(server)
  t.equal(await code(phone.confirmRecovery({ ...proofOf(recovery), newPassword: 'short' })), 'password_unacceptable')
  await phone.confirmRecovery({ token: recovery.token, newPassword: NEXT })
  t.equal(await code(phone.confirmRecovery({ token: recovery.token, newPassword: NEXT })), 'invalid_recovery_token')
  for (const one of [phone, laptop]) {
    t.ok(await isRefused(one))
    t.same([one.state, one.ends], ['signed-out', ['ended']], 'the server ended it, and that is told')
  }
  t.equal(await code(phone.login({ email, password: PASSWORD })), 'invalid_credentials')
  for (const one of [phone, laptop]) await one.login({ email, password: NEXT })
  const [notice] = await mailOf(server)

  const newEmail = 'ada@example.org'
  t.equal(await code(phone.changeEmail({ newEmail, password: PASSWORD })), 'invalid_credentials')
  await phone.changeEmail({ newEmail, password: NEXT })
  await device().confirmEmail({ token: (await onlyMail(server)).token })
  const account = await phone.fetch(`${ISSUER}/v1/account`)
  t.match(await account.json(), { email: newEmail, email_verified: true })
  const [way] = await mailOf(server)
  t.equal(way?.to, email, 'the former address has a way back')

  t.equal(await code(phone.notMe(String(notice?.token))), 'invalid_recovery_token', 'of the former address')
  await device().notMe(String(way?.token))
  for (const one of [phone, laptop]) t.ok(await isRefused(one))
  t.same(laptop.ends, ['ended', 'ended'])
  t.equal(await code(phone.login({ email, password: NEXT })), 'recovery_required')
})
