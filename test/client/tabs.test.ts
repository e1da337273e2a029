import t from 'tap'
import { thaw } from './fake-browser.ts'
import { ISSUER, pair, problem, token } from './fake-server.ts'
import { API, CREDENTIALS, OVER, scene } from './tabs.ts'

const HOUR = 3_600_000
const others = (count: number, open: () => ReturnType<typeof scene>['tab']) => Array.from({ length: count }, open)

t.test('twenty tabs have one session: one refresh to start, one per expiry, one logout, one login', async (t) => {
  const { tab, open, done, server, clock } = scene(t)
  const all = [tab, ...others(19, () => open())]
  const states = await done(Promise.all(all.map(({ session }) => session.start())), 3000)
  t.same([new Set(states).size, states[0], server.count('/v1/refresh')], [1, 'signed-in', 1])
  for (let expiry = 1; expiry <= 3; expiry++) {
    await clock.pass(HOUR)
    await done(Promise.all(all.map(({ session }) => session.fetch(API))), 3000)
    t.equal(server.count('/v1/refresh'), 1 + expiry, `expiry ${expiry}`)
  }
  const late = open()
  t.equal(await done(late.session.start()), 'signed-in')
  t.equal(server.count('/v1/refresh'), 4, 'a tab that is opened later asks the others')
  all.push(late)
  await done(all[7]?.session.logout() as Promise<void>)
  t.same(new Set(all.map(({ session }) => session.state)), new Set(['signed-out']))
  for (const { changes } of all) t.same(changes.at(-1), ['signed-out', 'logout'])
  await done(all[3]?.session.login(CREDENTIALS) as Promise<void>)
  const tokens = new Set(await done(Promise.all(all.map(({ session }) => session.token()))))
  t.same([tokens.size, tokens.has(null), server.count('/v1/refresh')], [1, false, 4])
  for (const { changes } of all) t.same(changes.at(-1), ['signed-in', 'login'])
})

t.test('early renewal: in the background, while the old token works, by the first tab that is used', async (t) => {
  const { tab, open, done, server, clock } = scene(t)
  const other = open()
  await done(tab.session.start())
  await clock.pass(480_000)
  await done(tab.session.fetch(API))
  t.equal(server.count('/v1/refresh'), 1, 'more than a fifth is left')
  await clock.pass(36_000)
  const [old] = await done(Promise.all([tab.session.token()]))
  t.equal(server.count('/v1/refresh'), 2)
  const fresh = await other.session.token()
  t.not(fresh, old)
  t.equal(await tab.session.token(), fresh)
  await clock.pass(10 * HOUR)
  t.equal(server.count('/v1/refresh'), 2, 'nobody uses it, nothing is asked')
})

t.test('the tabs share a back-off: one refresh for all, then one more when the time has come', async (t) => {
  const { tab, open, done, codeOf, server, clock } = scene(t)
  const all = [tab, ...others(19, () => open())]
  const [idle] = all.splice(19) as [typeof tab]
  await done(Promise.all([...all, idle].map(({ session }) => session.start())), 3000)
  const start = server.count('/v1/refresh')
  const tries = () => server.count('/v1/refresh') - start
  await clock.pass(HOUR)
  server.routes['/v1/refresh'] = () => problem('overloaded', 503, { 'retry-after': '30' })
  const codes = await done(Promise.all(all.map(({ session }) => codeOf(session.fetch(API), 0))), 3000)
  t.same([new Set(codes), tries()], [new Set(['overloaded']), 1], 'all have the error of the one that asked')
  t.same(new Set(all.map(({ session }) => session.state)), new Set(['unknown']))
  t.equal(idle.session.state, 'signed-in', 'a tab that nobody uses has found nothing out')
  const late = await done(
    idle.session.refresh().catch((error) => error),
    1000,
  )
  t.match(late, { code: 'overloaded', status: 503 })
  t.ok(late.retryAfterMs > 20_000 && late.retryAfterMs < 32_000, `${late.retryAfterMs} ms`)
  const loaded = open()
  t.equal(await done(loaded.session.start()), 'unknown')
  t.equal(tries(), 1, 'nor does a page ask that is loaded meanwhile')
  await clock.pass(20_000)
  t.equal(tries(), 1)
  await clock.pass(20_000)
  t.equal(tries(), 2, 'the second one of the browser, by one of its tabs')
  server.routes['/v1/refresh'] = () => pair()
  await clock.pass(40_000)
  t.same(new Set([...all, idle, loaded].map(({ session }) => session.state)), new Set(['signed-in']))
  t.equal(tries(), 3)
})

t.test('a tab that was frozen for a day catches up before it acts', async (t) => {
  const { tab, open, done, server, clock } = scene(t)
  const frozen = open()
  await done(Promise.all([tab.session.start(), frozen.session.start()]))
  frozen.frozen.isFrozen = true
  for (let hour = 0; hour < 24; hour++) {
    await clock.pass(HOUR)
    await done(tab.session.fetch(API))
  }
  const refreshes = server.count('/v1/refresh')
  thaw(frozen.frozen)
  t.equal((await done(frozen.session.fetch(API))).status, 200)
  t.equal(server.count('/v1/refresh'), refreshes, 'it took the token of the other tab')

  frozen.frozen.isFrozen = true
  await done(tab.session.logout())
  thaw(frozen.frozen)
  await done(frozen.session.fetch(API))
  t.equal(server.bearers().at(-1), null, 'and a logout')
})

t.test('a frozen tab that holds the lock holds up the others for twenty seconds at most', async (t) => {
  const { tab, open, done, server, clock, browser } = scene(t)
  const others = [open(), open(), open()]
  await done(Promise.all([tab, ...others].map(({ session }) => session.start())))
  await clock.pass(HOUR)
  const hung = tab.session.refresh()
  tab.frozen.isFrozen = true
  const tokens = await done(Promise.all(others.map(({ session }) => session.token())), 21_000)
  t.ok(tokens.every((one) => one !== null))
  const [steals, refreshes] = [browser.steals(), server.count('/v1/refresh')]
  t.ok(steals >= 1 && refreshes <= 3, `${steals} steals, ${refreshes} refreshes`)
  thaw(tab.frozen)
  await done(hung)
  t.equal(await tab.session.token(), tokens[0], 'the one that was frozen takes the newer token')
})

t.test('clocks: sleep is noticed, and a wall clock that is set costs one refresh at most', async (t) => {
  const { session, done, server, clock } = scene(t)
  await done(session.start())
  await clock.sleep(2 * HOUR)
  await done(session.fetch(API))
  t.equal(server.count('/v1/refresh'), 2, 'sleep of two hours')
  for (const [what, by, most] of [
    ['back', -2 * HOUR, 0],
    ['forward', 2 * HOUR, 1],
    ['forward and back', 2 * HOUR, 1],
  ] as const) {
    const before = server.count('/v1/refresh')
    clock.setWall(by)
    for (let request = 0; request < 40; request++) await done(session.fetch(API), 10_000)
    if (what === 'forward and back') clock.setWall(-by)
    for (let request = 0; request < 5; request++) await done(session.fetch(API), 1000)
    t.ok(server.count('/v1/refresh') - before <= most + 1, `${what}: ${server.count('/v1/refresh') - before}`)
    t.equal(session.state, 'signed-in', what)
    await done(session.refresh())
  }
})

t.test('what is not exactly a message of this session is ignored', async (t) => {
  const { session, done, browser, server, clock } = scene(t)
  await done(session.login(CREDENTIALS))
  const own = await session.token()
  const name = `signet-client ${ISSUER}`
  const fresh = token({ sub: 'acc_1', sid: 'ses_1', iat: 1e9 })
  const untilMs = clock.clock.wall() + 60_000
  const MESSAGES: unknown[] = [
    ...[undefined, null, 7, 'logout', [], {}, { signet: name }, { signet: 'other', kind: 'logout', sid: 'ses_1' }],
    { signet: name, kind: 'logout' },
    { signet: name, kind: 'logout', sid: 'ses_2' },
    { signet: name, kind: 'shutdown', sid: 'ses_1' },
    { signet: `${name}/other`, kind: 'renewed', token: fresh, untilMs },
    { signet: name, kind: 'renewed', token: fresh },
    { signet: name, kind: 'renewed', token: fresh, untilMs: 'later' },
    { signet: name, kind: 'renewed', token: fresh, untilMs: clock.clock.wall() - 1 },
    { signet: name, kind: 'renewed', token: 'x\r\ny', untilMs },
    { signet: name, kind: 'renewed', token: ['a'], untilMs },
    { signet: name, kind: 'renewed', token: 'h.e30.s', untilMs },
    { signet: name, kind: 'stolen', token: fresh, untilMs },
    { signet: name, kind: 'renewed', token: token({ sid: 'ses_1', iat: -1 }), untilMs },
    { signet: name, kind: 'wait', code: 'x', status: 503 },
    { signet: name, kind: 'wait', code: 'x', status: 503, untilMs: 'later' },
    { signet: name, kind: 'wait', code: 'x', status: 503, untilMs: clock.clock.wall() - 1 },
  ]
  const channel = browser.channel(name)
  for (const message of MESSAGES) {
    channel.postMessage(message)
    await clock.settle()
    t.same([session.state, await session.token()], ['signed-in', own], JSON.stringify(message))
  }
  channel.postMessage({ signet: name, kind: 'renewed', token: fresh, untilMs })
  await clock.settle()
  t.equal(await session.token(), fresh, 'and one that is')
  await done(session.refresh())
  channel.postMessage({ signet: name, kind: 'wait', code: ['x'], untilMs: Number.MAX_VALUE })
  await clock.settle()
  t.match(await session.refresh().catch((error) => error), { code: 'x', retryAfterMs: 900_000 }, 'a quarter of an hour')
  t.not(await session.token(), null)
  t.notMatch(JSON.stringify(browser.sent), /srt_/, 'a refresh token is never sent')
  t.equal(server.count('/v1/refresh'), 1)
})

t.test('a late answer brings back neither an ended session nor an older token', async (t) => {
  const { tab, open, done, server, clock, browser } = scene(t)
  const other = open()
  await done(Promise.all([tab.session.login(CREDENTIALS), other.session.start()]))
  let answer: (reply: Response) => void = () => undefined
  server.routes['/v1/refresh'] = () =>
    new Promise<Response>((resolve) => {
      answer = resolve
    })
  const refresh = tab.session.refresh()
  await clock.pass(100)
  const logout = other.session.logout()
  await clock.pass(100)
  t.equal(other.session.state, 'signed-in', 'the logout waits for the refresh')
  answer(pair())
  await done(Promise.all([refresh, logout]))
  t.same([tab.session.state, other.session.state], ['signed-out', 'signed-out'])

  const late = { token: token({ sid: 'ses_1', iat: 1e9 }), untilMs: clock.clock.wall() + HOUR }
  browser
    .channel(`signet-client ${ISSUER}`)
    .postMessage({ signet: `signet-client ${ISSUER}`, kind: 'renewed', ...late })
  await clock.settle()
  t.equal(tab.session.state, 'signed-out', 'a message that was sent before the logout')
})

t.test('without locks, or without channels, every tab still has its session', async (t) => {
  for (const missing of [{ locks: undefined }, { channel: undefined }, { locks: undefined, channel: undefined }]) {
    const { tab, open, done, clock } = scene(t, missing)
    const all = [tab, open(), open()]
    await done(Promise.all(all.map(({ session }) => session.start())), 1000)
    await clock.pass(HOUR)
    await done(Promise.all(all.map(({ session }) => session.fetch(API))), 1000)
    for (const { session } of all) t.equal(session.state, 'signed-in')
  }
  const broken = { request: () => Promise.reject(new DOMException('opaque origin', 'SecurityError')) }
  const { session, done } = scene(t, { locks: broken })
  t.equal(await done(session.start()), 'signed-in', 'locks that refuse')
})

t.test('a session that the server ends is over in all tabs; an error is over in none', async (t) => {
  const { tab, open, done, server, clock, codeOf } = scene(t)
  const other = open()
  await done(Promise.all([tab.session.start(), other.session.start()]))
  await clock.pass(HOUR)
  server.routes['/v1/refresh'] = () => problem('internal', 500)
  t.equal(await codeOf(tab.session.fetch(API)), 'internal')
  t.equal(other.session.state, 'signed-in')
  await clock.pass(60_000)
  server.routes['/v1/refresh'] = OVER
  await clock.pass(60_000)
  t.same([tab.session.state, other.session.state], ['signed-out', 'signed-out'])
  t.same([tab.changes.at(-1)?.[1], other.changes.at(-1)?.[1]], ['ended', 'ended'])
})
