import fc from 'fast-check'
import t, { type Test } from 'tap'
import { PASSWORD } from '../support/app.ts'
import { serverAt } from '../support/front-door.ts'
import { thaw } from './fake-browser.ts'
import { fakeClock } from './fake-clock.ts'
import { ISSUER } from './fake-server.ts'
import { fakeBrowser, type Tab } from './tabs.ts'

// Many tabs of one browser against the real server, with faults of every kind in every order. Time is virtual.
// CLIENT_RUNS=1000 tries that many histories; the suite tries a few.

const EMAIL = 'ada@example.com'
const PAGE = 'https://app.example.com'
const FAULTS = ['none', 'lost before', 'lost after', '429', '500', '502', '503', 'html', 'half', 'mute'] as const
type Fault = (typeof FAULTS)[number]
const MINUTE = 60_000

const OPERATION = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('use' as const), tab: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refresh' as const), tab: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('fault' as const), fault: fc.constantFrom(...FAULTS) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'sleep' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clock' as const), hours: fc.constantFrom(-2, 2) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('freeze' as const), tab: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const), tab: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('confirm' as const), tab: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('logout' as const), tab: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('login' as const), tab: fc.nat(4) }) },
)
type Operation = typeof OPERATION extends fc.Arbitrary<infer One> ? One : never

async function world(t: Test) {
  const clock = fakeClock()
  const start = Date.UTC(2026, 0, 1) / 1000
  const server = await serverAt(t, start, { ISSUER, AUDIENCE: ISSUER, CORS_ORIGINS: PAGE, TRUST_PROXY: 'loopback' })
  let served = 0
  const jar = new Map<string, string>()
  let fault: Fault = 'none'
  const counts = { refreshes: 0 }

  const answer = async (url: URL, init: RequestInit): Promise<Response> => {
    const passed = Math.floor(clock.passedMs() / 1000)
    server.pass(passed - served)
    served = passed
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const reply = await server.app.inject({
      method: (init.method ?? 'GET') as 'GET',
      url: url.pathname,
      headers: { ...Object.fromEntries(new Headers(init.headers)), origin: PAGE, ...(cookie && { cookie }) },
      ...(init.body && { payload: init.body as string }),
    })
    if (fault === 'lost after') throw new TypeError('cut')
    for (const { name, value } of reply.cookies) value === '' ? jar.delete(name) : jar.set(name, value)
    const body = reply.statusCode === 204 ? null : fault === 'half' ? reply.body.slice(0, 30) : reply.body
    return new Response(body, { status: reply.statusCode, headers: reply.headers as Record<string, string> })
  }
  const fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input))
    if (url.pathname === '/v1/me') return clock.outside(answer(url, init))
    if (url.pathname === '/v1/refresh') counts.refreshes += 1
    if (fault === 'lost before') throw new TypeError('offline')
    if (fault === 'html') return new Response('<html>', { status: 200 })
    if (fault === 'mute') return new Promise(() => undefined)
    if (/^\d/.test(fault)) return new Response('', { status: Number(fault), headers: { 'retry-after': '2' } })
    return clock.outside(answer(url, init))
  }
  const browser = fakeBrowser(clock, fetch as typeof globalThis.fetch, Math.random)
  const tabs: Tab[] = Array.from({ length: 5 }, () => browser.open())
  const setFault = (next: Fault) => {
    fault = next
  }
  return { clock, browser, tabs, counts, setFault, app: server.app }
}
type World = Awaited<ReturnType<typeof world>>

/** Lets a call end, whatever comes of it. @returns true if it did what it should */
async function ends({ clock }: World, call: Promise<unknown>): Promise<boolean> {
  let isGood = false
  call.then(
    () => {
      isGood = true
    },
    () => undefined,
  )
  await clock.pass(45_000)
  return isGood
}

const isOver = (one: Operation) => one.kind === 'logout'

/** Runs a history. @throws when a tab says that a session is over which is not, or the other way round */
async function live(on: World, history: readonly Operation[]): Promise<void> {
  const { clock, tabs, browser, setFault } = on
  let isAlive = await ends(on, (tabs[0] as Tab).session.login({ email: EMAIL, password: PASSWORD }))
  const check = async (what: string) => {
    for (const [index, { session, changes, frozen }] of tabs.entries()) {
      if (isAlive && changes.at(-1)?.[1] === 'ended') throw new Error(`${what}: tab ${index} lost a session that lives`)
      if (!isAlive && !frozen.isFrozen && session.state === 'signed-in' && (await session.token()) !== null)
        throw new Error(`${what}: tab ${index} has a session that is over`)
    }
  }
  for (const [step, one] of history.entries()) {
    const tab = 'tab' in one ? (tabs[one.tab] as Tab) : (tabs[0] as Tab)
    if ('tab' in one && one.kind !== 'freeze' && tab.frozen.isFrozen) thaw(tab.frozen)
    if (one.kind === 'use') await ends(on, tab.session.fetch(`${ISSUER}/v1/me`))
    if (one.kind === 'refresh') await ends(on, tab.session.refresh())
    if (one.kind === 'pass') await clock.pass(one.minutes * MINUTE)
    if (one.kind === 'fault') setFault(one.fault)
    if (one.kind === 'sleep') await clock.sleep(120 * MINUTE)
    if (one.kind === 'clock') clock.setWall(one.hours * 60 * MINUTE)
    if (one.kind === 'freeze') tab.frozen.isFrozen = true
    if (one.kind === 'reload') {
      tab.session.close()
      tabs[one.tab] = browser.open()
      await ends(on, (tabs[one.tab] as Tab).session.start())
    }
    // What the answer of these would change is not known when it is lost, so they are done without a fault.
    if (one.kind === 'confirm' || one.kind === 'logout' || one.kind === 'login') setFault('none')
    if (one.kind === 'confirm') await ends(on, tab.session.reauthenticate(PASSWORD))
    if (one.kind === 'login' && (await ends(on, tab.session.login({ email: EMAIL, password: PASSWORD }))))
      isAlive = true
    if (isOver(one) && (await ends(on, tab.session.logout()))) isAlive = false
    await check(`step ${step}, ${JSON.stringify(one)}`)
  }
  setFault('none')
  for (const { frozen } of tabs) if (frozen.isFrozen) thaw(frozen)
  await clock.pass(20 * MINUTE)
  for (const { session } of tabs) await ends(on, session.start())
  for (const { session } of tabs)
    if ((session.state === 'signed-in') !== isAlive) throw new Error(`at the end: ${session.state}, alive: ${isAlive}`)
}

t.test('tabs, faults and clocks in any order: no wrong logout, and none that is not one', async (t) => {
  const on = await world(t)
  const account = { email: EMAIL, password: PASSWORD }
  t.equal((await on.app.inject({ method: 'POST', url: '/v1/accounts', payload: account })).statusCode, 201)
  const histories = fc.array(OPERATION, { minLength: 5, maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      for (const [index, { session }] of on.tabs.entries()) {
        session.close()
        on.tabs[index] = on.browser.open()
      }
      on.setFault('none')
      const before = { refreshes: on.counts.refreshes, ms: on.clock.passedMs() }
      await live(on, history)
      const minutes = (on.clock.passedMs() - before.ms) / MINUTE
      const refreshes = on.counts.refreshes - before.refreshes
      if (refreshes > 20 + 6 * minutes) throw new Error(`${refreshes} refreshes in ${minutes} minutes`)
    }),
    { numRuns: Number(process.env.CLIENT_RUNS ?? 20) },
  )
  t.comment(`${on.counts.refreshes} refreshes, ${Math.round(on.clock.passedMs() / 3_600_000)} hours`)
  for (const { session } of on.tabs) session.close()
})
