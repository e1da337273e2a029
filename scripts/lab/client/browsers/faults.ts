import type { Way } from './fault-proxy.ts'
import type { Stage } from './stage.ts'
import type { StateName } from './trial.ts'

const TWO_HOURS_MS = 7_200_000
/** Longer than the time limit of a request of the client. */
const SLOW_STEP_MS = 11_000

/** Something that goes wrong, or changes, while the tabs ask. */
export interface Fault {
  readonly name: string
  /** The session is over by this, rightly. */
  readonly ends?: true
  /** After it started, what it needs while the tabs ask: a tab that is loaded again. */
  readonly during?: (stage: Stage) => Promise<void>
  readonly start: (stage: Stage) => Promise<void>
  readonly stop: (stage: Stage) => Promise<void>
  /** Time passes in such steps, in milliseconds, because the tabs wait for it. */
  readonly stepMs?: number
  /** Pages end by it: a token that only they had is lost with them, and another page has to ask once more. */
  readonly losesPages?: true
  /** In these states there are two expiries, and so two refreshes whose answer arrives. */
  readonly twice?: { readonly in: readonly StateName[]; readonly because: string }
}

const nothing = async () => undefined

const onTheWay = (name: string, way: Way, more: Partial<Fault> = {}): Fault => ({
  name,
  async start({ proxy }) {
    proxy.way = way
    if (way === 'refused') proxy.cutOff()
  },
  async stop({ proxy }) {
    proxy.way = 'through'
  },
  ...more,
})

const event = (name: string, start: Fault['start'], more: Partial<Fault> = {}): Fault => ({
  name,
  start,
  stop: nothing,
  ...more,
})

const wallClock = (name: string, byMs: number, more: Partial<Fault> = {}): Fault =>
  event(name, (stage) => stage.setWall(byMs), { stop: (stage) => stage.setWall(-byMs), ...more })

let changes = 0

/** Every fault that the promise names. */
export const FAULTS: readonly Fault[] = [
  onTheWay('answer lost before the server acted', 'lost before'),
  onTheWay('answer lost after it acted', 'lost after'),
  onTheWay('429 with Retry-After', '429'),
  onTheWay('500', '500'),
  onTheWay('502', '502'),
  onTheWay('503 with Retry-After', '503'),
  onTheWay('connection cut in the answer', 'cut'),
  onTheWay('slow: no answer in time', 'slow', {
    stepMs: SLOW_STEP_MS,
    async stop({ proxy }) {
      proxy.way = 'through'
      proxy.cutOff()
    },
  }),
  onTheWay('truncated JSON', 'truncated'),
  {
    name: 'offline',
    async start({ tabs, proxy }) {
      const done = await Promise.all(tabs.map((tab) => tab.setOffline(true)))
      if (done.includes(true)) return
      proxy.way = 'refused' // this browser can't be told: it finds nobody
      proxy.cutOff()
    },
    async stop({ tabs, proxy }) {
      await Promise.all(tabs.map((tab) => tab.setOffline(false)))
      proxy.way = 'through'
    },
  },
  event('DNS gone', (stage) => stage.setDns(true), { stop: (stage) => stage.setDns(false) }),
  onTheWay("a captive portal's 200 with HTML", 'captive portal'),
  wallClock('clock 2 h ahead', TWO_HOURS_MS, {
    twice: { in: ['refresh under way'], because: 'the token that was on its way looks two hours old when it comes' },
  }),
  wallClock('clock 2 h behind', -TWO_HOURS_MS, {
    twice: {
      in: ['about to end', 'expired', 'refresh under way'],
      because: 'at the end the clock is put right, a jump ahead: the new token looks two hours old',
    },
  }),
  event('sleep of 2 h', (stage) => stage.sleep(TWO_HOURS_MS), {
    twice: { in: ['refresh under way'], because: 'the token that was on its way has ended in the sleep' },
  }),
  event('reload in the middle of half of the tabs', nothing, {
    async during(stage) {
      const half = stage.tabs.slice(0, Math.ceil(stage.tabs.length / 2))
      await Promise.all(half.map((tab) => stage.reload(tab)))
      await Promise.all(half.map((tab) => tab.evaluate('lab.use()')))
    },
    losesPages: true,
  }),
  event('server killed with -9', ({ server }) => server.kill(), { stop: ({ server }) => server.restart() }),
  event('key rotated', ({ server }) => server.rotateKey()),
  event('key revoked', ({ server }) => server.revokeKey()),
  event('session ended elsewhere', ({ server, account }) => server.endOthers(account.email), { ends: true }),
  event('role changed', ({ server, account }) => {
    changes += 1
    return server.setRoles(account.id, [`role-${changes}`])
  }),
]
