import type { Test } from 'tap'
import { createSession, type Session, type SessionOptions, type State, type Why } from '../../src/client/index.ts'
import { type FrozenTab, fakeChannels, fakeLocks, inTab, newTab } from './fake-browser.ts'
import { type FakeClock, fakeClock } from './fake-clock.ts'
import { fakeServer, ISSUER, pair, problem, type Reply, type Seen } from './fake-server.ts'

/** A tab of the fake browser, or a process. */
export interface Tab {
  readonly session: Session
  readonly frozen: FrozenTab
  readonly changes: [State, Why][]
  isHidden: boolean
  /** The page comes into view, or the network comes back. */
  wake(): void
}

/** A browser without pages. Numbers are not random: `random` is always a half. */
export function fakeBrowser(clock: FakeClock, fetch: typeof globalThis.fetch, random = () => 0.5) {
  const { locks, steals } = fakeLocks()
  const { channelOf, sent } = fakeChannels()
  const open = (options: Partial<SessionOptions> = {}): Tab => {
    const frozen = newTab()
    const wakes = new Set<() => void>()
    const tab = {
      frozen,
      changes: [] as [State, Why][],
      isHidden: false,
      wake() {
        for (const run of wakes) run()
      },
    }
    const session = createSession({
      issuer: ISSUER,
      transport: 'cookie',
      clock: { ...clock.clock, setTimeout: (run, ms) => clock.clock.setTimeout(() => inTab(frozen, run), ms) },
      random,
      locks,
      channel: channelOf(frozen),
      page: {
        isHidden: () => tab.isHidden,
        onWake(run) {
          wakes.add(run)
          return () => void wakes.delete(run)
        },
      },
      base: 'https://app.example.com/',
      fetch: async (input, init) => {
        const response = await fetch(input, init)
        return frozen.isFrozen ? new Promise((resolve) => frozen.waiting.push(() => resolve(response))) : response
      },
      ...options,
    })
    session.onChange((state, why) => tab.changes.push([state, why]))
    return Object.assign(tab, { session })
  }
  /** A channel of some other script of the same origin. */
  const channel = (name: string) => channelOf(newTab())(name)
  return { open, locks, steals, sent, channel }
}

/** One tab and a server that answers well, unless the test says otherwise. */
export function scene(
  t: Test,
  options: Partial<SessionOptions> = {},
  routes: Record<string, (seen: Seen) => Reply> = {},
) {
  const clock = fakeClock()
  let logins = 0
  const server = fakeServer({
    '/v1/refresh': () => pair({ sid: `ses_${logins}` }),
    '/v1/login': () => {
      logins += 1
      return pair({ sid: `ses_${logins}` })
    },
    '/v1/logout': () => new Response(null, { status: 204 }),
    ...routes,
  })
  const browser = fakeBrowser(clock, server.fetch)
  const tabs: Tab[] = []
  const open = (more: Partial<SessionOptions> = {}) => {
    const tab = browser.open({ ...options, ...more })
    tabs.push(tab)
    return tab
  }
  t.teardown(() => {
    for (const { session } of tabs) session.close()
  })
  const tab = open()
  /** The outcome of a call that waits for time or for others. */
  const done = async <T>(call: Promise<T>, ms = 100): Promise<T> => {
    call.catch(() => undefined)
    await clock.pass(ms)
    return call
  }
  /** The code with which it fails. */
  const codeOf = (call: Promise<unknown>, ms?: number) =>
    done(call, ms).then(
      () => 'none',
      (error) => error.code ?? error,
    )
  return { clock, server, browser, open, ...tab, tab, done, codeOf }
}

export const OVER = () => problem('invalid_refresh_token', 401)
export const CREDENTIALS = { email: 'a@example.com', password: 'correct horse battery staple' }
export const API = `${ISSUER}/orders`
