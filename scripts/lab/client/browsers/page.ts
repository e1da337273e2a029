import { createSession, type State } from '../../../../src/client/index.ts'

// Runs in each tab: the client as it is, on a clock that the run can move. The page server writes `start` before it.

export interface PageStart {
  readonly issuer: string
  /** How far the clocks have been moved, in milliseconds. */
  readonly wallMs: number
  readonly hasNoDns: boolean
}
/** What one use of a tab came to: 200, a status, or the code of an error; and the state after it. */
export interface Used {
  readonly result: string
  readonly state: State
}
/** What the run can ask of a page: `lab.<name>(…)`. */
export interface Lab {
  move(monotonicMs: number, wallMs: number): void
  setDns(isGone: boolean): void
  start(): Promise<State>
  login(email: string, password: string): Promise<string>
  logout(): Promise<string>
  refresh(): Promise<string>
  /** Begins a request to the API; `used` waits for it. */
  use(): true
  used(): Promise<Used>
  /** A request is under way, or some tab holds a lock or waits for one. */
  isBusy(): Promise<boolean>
  /** `had`: the `jti` of each token that this page has had. */
  look(): { state: State; lifeSeconds: number; roles: readonly string[]; had: readonly string[]; stored: string }
  wake(): void
}

interface Timer {
  readonly due: number
  readonly run: () => void
  handle: unknown
}
const page = globalThis as unknown as {
  start: PageStart
  lab: Lab
  setTimeout(run: () => void, ms?: number): unknown
  clearTimeout(timer: unknown): void
  navigator: { locks: { query(): Promise<{ held: unknown[]; pending: unknown[] }> } }
  localStorage: object
  sessionStorage: object
  document: { readonly cookie: string }
  location: { readonly href: string }
  dispatchEvent(event: Event): void
}
/** What an application gives a request of its own: more than the client gives a refresh. */
const USE_TIMEOUT_MS = 30_000

const { issuer } = page.start
let { wallMs, hasNoDns } = page.start
let monotonicMs = 0
/** Requests under way. */
let busy = 0
const move = moveClocks()
const session = createSession({
  issuer,
  async fetch(input, init) {
    busy += 1
    try {
      return await fetch(hasNoDns ? String(input).replace(issuer, 'http://no-such-host.invalid') : String(input), init)
    } finally {
      busy -= 1
    }
  },
})
const had = new Set<string>()
session.onChange(() => had.add(String(session.claims?.jti)))
const done = (work: Promise<unknown>) => work.then(() => 'done').catch(({ code, message }) => code ?? message)
let using: Promise<Used> | undefined

async function use(): Promise<Used> {
  const controller = new AbortController()
  page.setTimeout(() => controller.abort(), USE_TIMEOUT_MS)
  const result = await session
    .fetch(`${issuer}/v1/me`, { signal: controller.signal })
    .then(async (response) => String(response.status) + (await response.text()).slice(0, 0))
    .catch(({ code }) => String(code ?? 'network_error'))
  return { result, state: session.state }
}

page.lab = {
  move,
  setDns(isGone) {
    hasNoDns = isGone
  },
  start: () => session.start(),
  login: (email, password) => done(session.login({ email, password })),
  logout: () => done(session.logout()),
  refresh: () => done(session.refresh()),
  use() {
    using = use()
    return true
  },
  used: () => using ?? use(),
  async isBusy() {
    const { held, pending } = await page.navigator.locks.query()
    return busy + held.length + pending.length > 0
  },
  look: () => ({
    state: session.state,
    lifeSeconds: Number(session.claims?.exp) - Number(session.claims?.iat),
    roles: session.claims?.roles ?? [],
    had: [...had],
    stored: JSON.stringify([page.localStorage, page.sessionStorage, page.document.cookie, page.location.href]),
  }),
  wake: () => page.dispatchEvent(new Event('online')),
}

/** Replaces the clocks and the timers of the page, as a device that sleeps or is set would. */
function moveClocks(): Lab['move'] {
  const [now, monotonic] = [Date.now.bind(Date), performance.now.bind(performance)]
  const [setReal, clearReal] = [page.setTimeout.bind(page), page.clearTimeout.bind(page)]
  const timers = new Map<unknown, Timer>()
  Date.now = () => now() + wallMs
  performance.now = () => monotonic() + monotonicMs
  const arm = (id: object, timer: Timer) => {
    timer.handle = setReal(() => timers.delete(id) && timer.run(), Math.max(timer.due - performance.now(), 0))
  }
  page.setTimeout = (run, ms = 0) => {
    const id = {}
    const timer: Timer = { due: performance.now() + ms, run, handle: undefined }
    timers.set(id, timer)
    arm(id, timer)
    return id
  }
  page.clearTimeout = (id) => {
    clearReal(timers.get(id)?.handle)
    timers.delete(id)
  }
  return (byMonotonicMs, byWallMs) => {
    const before = performance.now()
    monotonicMs += byMonotonicMs
    wallMs += byWallMs
    for (const [id, timer] of timers) {
      // A browser lets a tab that nobody looks at wait for its turn: armed anew at each step, it would never come.
      if (timer.due <= before) continue
      clearReal(timer.handle)
      arm(id as object, timer)
    }
  }
}
