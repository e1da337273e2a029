import t from 'tap'
import { createSession, type State } from '../../src/client/index.ts'
import { ISSUER, json, pair, problem, type Reply } from './fake-server.ts'
import { API, CREDENTIALS, OVER, scene } from './tabs.ts'

t.test('start finds a session, finds none, or does not know', async (t) => {
  const CASES: [what: string, reply: () => Reply, state: State, why: string | undefined][] = [
    ['a session', () => pair(), 'signed-in', 'found'],
    ['none', OVER, 'signed-out', 'none'],
    ['offline', () => new TypeError('fetch failed'), 'unknown', undefined],
    ['a captive portal', () => new Response('<html>', { status: 200 }), 'unknown', undefined],
    ['no store', () => problem('store_unavailable', 503), 'unknown', undefined],
    ['too many', () => problem('too_many_requests', 429), 'unknown', undefined],
    ['another 401', () => problem('missing_token', 401), 'unknown', undefined],
    ['not of this site', () => problem('cross_site_request', 403), 'unknown', undefined],
  ]
  for (const [what, reply, state, why] of CASES) {
    const { session, done, changes } = scene(t, {}, { '/v1/refresh': reply })
    t.equal(session.state, 'unknown', `${what}: before`)
    t.equal(await done(session.start()), state, what)
    t.same(changes, why === undefined ? [] : [[state, why]], what)
    t.equal(await done(session.token()).then((token) => token !== null), state === 'signed-in', what)
  }
})

t.test('a session that can not be reached comes back by itself, and is never given up', async (t) => {
  let isOffline = true
  const fail = () => new TypeError('fetch failed')
  const { session, done, clock, server, changes, tab } = scene(
    t,
    {},
    { '/v1/refresh': () => (isOffline ? fail() : pair()) },
  )
  t.equal(await done(session.start()), 'unknown')
  await clock.pass(600_000)
  const tries = server.count('/v1/refresh')
  t.ok(tries > 10 && tries < 40, `${tries} tries in ten minutes`)
  t.equal(session.state, 'unknown')
  tab.isHidden = true
  await clock.pass(120_000)
  const before = server.count('/v1/refresh')
  await clock.pass(3_600_000)
  t.equal(server.count('/v1/refresh'), before, 'none in a hidden tab')
  isOffline = false
  tab.wake()
  await clock.pass(10_000)
  t.equal(server.count('/v1/refresh'), before, 'still hidden')
  tab.isHidden = false
  tab.wake()
  t.equal(server.count('/v1/refresh'), before, 'not all at one moment')
  await clock.pass(3000)
  t.equal(session.state, 'signed-in')
  t.same(changes, [['signed-in', 'found']])
})

t.test('while the access token lives a failing refresh is not told; after that the state is unknown', async (t) => {
  const { session, done, clock, server, changes } = scene(t)
  await done(session.start())
  server.routes['/v1/refresh'] = () => problem('overloaded', 503, { 'retry-after': '1' })
  await clock.pass(560_000)
  t.equal((await done(session.fetch(API))).status, 200, 'with the old token')
  await clock.pass(1000)
  t.equal(session.state, 'signed-in')
  await clock.pass(60_000)
  t.equal(session.state, 'unknown')
  t.not(session.claims, null, 'who it was is still known')
  t.match(await session.fetch(API).catch((error) => error), { code: 'overloaded', status: 503 })
  server.routes['/v1/refresh'] = () => pair({ sid: session.claims?.sid })
  await clock.pass(120_000)
  t.same(changes, [
    ['signed-in', 'found'],
    ['unknown', 'unavailable'],
    ['signed-in', 'renewed'],
  ])
})

t.test('what was asked for one person is not sent as another, and the change is told as a login', async (t) => {
  const { session, done, clock, server, changes } = scene(
    t,
    {},
    { '/v1/refresh': () => pair({ sub: 'acc_1', sid: 's1' }) },
  )
  await done(session.start())
  server.routes['/v1/refresh'] = () => pair({ sub: 'acc_2', sid: 's2' }) // on another origin of the site
  await clock.pass(599_000)
  const sent = server.seen.length
  const refused = await done(session.fetch(API, { method: 'POST', body: 'x' }).catch((error) => error))
  t.match(refused, { code: 'other_account' })
  t.equal(server.seen.slice(sent).filter(({ url }) => url === API).length, 0)
  t.same(changes.at(-1), ['signed-in', 'login'])
  t.equal((await done(session.fetch(API))).status, 200, 'asked for the person who is there now')
})

t.test('a page that comes into view does not make somebody wait who need not', async (t) => {
  const { clock, session, server, tab, done } = scene(t, {}, { '/v1/refresh': () => new TypeError('offline') })
  await done(session.start())
  tab.isHidden = true
  await clock.pass(3_600_000)
  server.routes['/v1/refresh'] = () => pair()
  tab.isHidden = false
  tab.wake()
  t.equal((await done(session.fetch(API))).status, 200, 'the back-off was over long ago')
})

t.test('everybody who asks meanwhile shares one refresh', async (t) => {
  const { session, done, server, clock } = scene(t)
  await done(session.start())
  await clock.pass(700_000)
  const all = Array.from({ length: 20 }, () => session.fetch(API))
  const more = [session.token(), session.refresh(), session.start()]
  await done(Promise.all([...all, ...more]))
  t.equal(server.count('/v1/refresh'), 2)
  t.equal(new Set(server.bearers().slice(-20)).size, 1)
})

t.test('a request with no answer is given up after ten seconds', async (t) => {
  const never = () => new Promise<Response>(() => undefined)
  const { session, clock, server } = scene(t, {})
  const fetch: typeof globalThis.fetch = (input, init) =>
    String(input).endsWith('/v1/refresh') ? never() : server.fetch(input, init)
  const mute = createSession({ issuer: ISSUER, transport: 'body', clock: clock.clock, fetch })
  t.teardown(() => mute.close())
  const login = mute.login(CREDENTIALS)
  await clock.pass(0)
  await login
  const refresh = mute.refresh().catch((error) => error.code)
  await clock.pass(9999)
  t.equal(mute.state, 'signed-in')
  await clock.pass(1)
  t.equal(await refresh, 'timeout')
  session.close()
})

t.test('login and registration: what is sent, and what a refusal becomes', async (t) => {
  const { session, server, done, codeOf, changes } = scene(t, {}, { '/v1/accounts': () => json({ id: 'acc_1' }, 201) })
  await done(session.register(CREDENTIALS))
  t.same(
    server.seen.map(({ body }) => body),
    [CREDENTIALS, { ...CREDENTIALS, transport: 'cookie' }],
  )
  t.match(server.seen[1]?.init, { credentials: 'include', redirect: 'error', method: 'POST' })
  t.match(session.claims, { sub: 'acc_1' })
  for (const [code, status] of [
    ['invalid_credentials', 401],
    ['too_many_requests', 429],
    ['store_unavailable', 503],
  ] as const) {
    server.routes['/v1/login'] = () => problem(code, status)
    t.equal(await codeOf(session.login(CREDENTIALS)), code)
  }
  server.routes['/v1/login'] = () => new Response('<html>')
  t.equal(await codeOf(session.login(CREDENTIALS)), 'unexpected_answer')
  const thrown = new TypeError('fetch failed')
  server.routes['/v1/login'] = () => thrown
  const failure = await done(session.login(CREDENTIALS).catch((error) => error))
  t.match(failure, { code: 'network_error', status: 0 })
  t.equal(failure.cause, thrown, 'what the network said')
  server.routes['/v1/accounts'] = () => problem('email_taken', 409)
  t.equal(await codeOf(session.register(CREDENTIALS)), 'email_taken')
  t.same([session.state, changes], ['signed-in', [['signed-in', 'login']]], 'a failed login ends nothing')
})

t.test('logout: with the token, by the cookie when it has ended, and what failed did not happen', async (t) => {
  const { session, server, done, codeOf, clock, changes } = scene(t)
  const last = () => server.seen.at(-1)
  await done(session.login(CREDENTIALS))
  await done(session.logout('others'))
  t.same([last()?.body, session.state], [{ scope: 'others' }, 'signed-in'])
  server.routes['/v1/logout'] = () => problem('store_unavailable', 503)
  t.equal(await codeOf(session.logout()), 'store_unavailable')
  t.equal(session.state, 'signed-in', 'a logout that failed')
  server.routes['/v1/logout'] = () => new Response(null, { status: 204 })
  await clock.pass(700_000)
  await done(session.logout('all'))
  t.same([last()?.body, last()?.headers.get('authorization')], [{ scope: 'all' }, null])
  t.equal(last()?.init.credentials, 'include')
  t.same(changes.at(-1), ['signed-out', 'logout'])
  const asked = server.seen.length
  t.same([await session.token(), session.claims, await codeOf(session.refresh())], [null, null, 'signed_out'])
  await done(session.logout())
  t.equal(server.seen.length, asked, 'nobody is asked about a session that is over')
})

t.test('a token that the server refuses at the logout is replaced by the cookie', async (t) => {
  const reply = ({ headers }: { headers: Headers }) =>
    headers.has('authorization') ? problem('token_expired', 401) : new Response(null, { status: 204 })
  const { session, done, codeOf, server } = scene(t, {}, { '/v1/logout': reply })
  await done(session.login(CREDENTIALS))
  await done(session.logout())
  t.equal(session.state, 'signed-out')
  await done(session.login(CREDENTIALS))
  server.routes['/v1/logout'] = OVER
  t.equal(await codeOf(session.logout('all')), 'signed_out', 'the others go on, and the caller learns it')
  t.equal(session.state, 'signed-out')
})

t.test('after close nothing is asked, told or kept', async (t) => {
  const { session, done, codeOf, server, clock, changes } = scene(t)
  await done(session.login(CREDENTIALS))
  const late = session.refresh()
  session.close()
  t.equal(await codeOf(late), 'closed')
  const calls = {
    refresh: () => session.refresh(),
    login: () => session.login(CREDENTIALS),
    fetch: () => session.fetch(API),
    logout: () => session.logout(),
    reauthenticate: () => session.reauthenticate('x'),
  }
  for (const [name, call] of Object.entries(calls)) t.equal(await codeOf(call()), 'closed', name)
  t.equal(await session.token(), null)
  const asked = server.seen.length
  await clock.pass(10_000_000)
  t.same([server.seen.length, changes.length, clock.timers()], [asked, 1, 0])
})

t.test('what a listener throws is no concern of the session, and one that left is not called', async (t) => {
  const { session, done } = scene(t)
  const heard: string[] = []
  const stop = session.onChange((state) => heard.push(state))
  await done(session.login(CREDENTIALS))
  stop()
  await done(session.refresh())
  t.same(heard, ['signed-in'])
})

t.test('options that can not work are refused', async (t) => {
  const make = (options: object) => () => createSession({ issuer: ISSUER, ...options } as never)
  t.throws(make({ issuer: 'auth' }), TypeError)
  t.throws(make({ transport: 'header' }), { message: 'transport: not known: header' })
  t.throws(make({ apiOrigins: ['*'] }), TypeError)
})
