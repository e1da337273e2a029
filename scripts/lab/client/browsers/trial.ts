import { setTimeout as sleep } from 'node:timers/promises'
import type { State } from '../../../../src/client/index.ts'
import type { Fault } from './faults.ts'
import type { Used } from './page.ts'
import type { Stage } from './stage.ts'

/** How much of an access token's life is left in the state `about to end`: renewed when it is used, and still good. */
const REST_MS = 90_000
/** Longer than the longest back-off, shorter than the life of a token. */
const AFTER_BACK_OFF_MS = 130_000

/** When the network comes back, clients wait for up to three seconds, so that they do not come at once. */
const WAKE_SPREAD_MS = 3500

/** The states of a session in which each fault comes. `under way`: a refresh is waiting for its answer. */
export const STATES = ['signed out', 'fresh token', 'about to end', 'expired', 'refresh under way'] as const
export type StateName = (typeof STATES)[number]

export interface Outcome {
  /** What most tabs said during the fault, and after it. */
  readonly during: string
  readonly after: string
  /** Refreshes that browsers asked for during the fault and after it, and those whose answer arrived. */
  readonly asked: number
  readonly arrived: number
  /** Further answers whose token no page has had that lived on. */
  readonly lostWithPages: number
  /** Empty: as promised. */
  readonly faults: readonly string[]
}

/** One fault in one state of the session, in all tabs at once. */
export async function tryFault(stage: Stage, state: StateName, fault: Fault): Promise<Outcome> {
  const { proxy } = stage
  await bring(stage, state)
  proxy.count()
  if (state === 'refresh under way') {
    proxy.hold()
    await stage.use()
    await stage.until(async () => proxy.isHolding, 'a refresh is under way')
  }
  await fault.start(stage)
  if (state !== 'refresh under way') await stage.use()
  const more = fault.during?.(stage)
  proxy.release()
  await more
  await stage.used(fault.stepMs)
  const during = (await stage.looks()).map(({ state }) => state)

  await fault.stop(stage)
  await stage.quiet()
  await stage.pass(AFTER_BACK_OFF_MS)
  await stage.each('lab.wake()')
  await stage.pass(WAKE_SPREAD_MS)
  await stage.use()
  const used = await stage.used()
  await sleep(50) // what one tab has told the others
  const looks = await stage.looks()
  const faults = faultsOf({ during, looks, used, isOut: state === 'signed out' || fault.ends === true })
  const had = new Set(looks.flatMap(({ had }) => had))
  const lostWithPages = fault.losesPages ? proxy.arrived.filter((jti) => !had.has(jti)).length : 0
  const arrived = proxy.arrived.length - lostWithPages
  const most = fault.twice?.in.includes(state) ? 2 : 1
  if (arrived > most) faults.push(`${arrived} refreshes for ${most} expiries: ${proxy.log}`)
  const after = told(looks.map(({ state }) => state))
  return { during: told(during), after, asked: proxy.asked, arrived, lostWithPages, faults }
}

interface Seen {
  readonly during: readonly State[]
  readonly looks: Awaited<ReturnType<Stage['looks']>>
  readonly used: readonly Used[]
  /** The session was over before, or the fault has ended it. */
  readonly isOut: boolean
}

function faultsOf({ during, looks, used, isOut }: Seen): string[] {
  const meanwhile: State[] = isOut ? ['signed-out', 'signed-in', 'unknown'] : ['signed-in', 'unknown']
  const [states, results] = [looks.map(({ state }) => state), used.map(({ result }) => result)]
  const roles = new Set(looks.map(({ roles }) => String(roles)))
  return [
    ...wrong(during, meanwhile, 'during it'),
    ...wrong(states, [isOut ? 'signed-out' : 'signed-in'], 'after it'),
    ...wrong(results, [isOut ? '401' : '200'], 'a request after it'),
    ...(roles.size > 1 ? [`the tabs differ in their roles: ${[...roles]}`] : []),
    ...(looks.some(({ stored }) => /srt_|eyJ/.test(stored)) ? ['a token lies where scripts can read it'] : []),
  ]
}

/** Brings the session into a state, in all tabs. */
async function bring(stage: Stage, state: StateName): Promise<void> {
  await stage.signIn()
  const [first] = stage.tabs
  if (state === 'signed out') {
    const said = await first?.evaluate('lab.logout()')
    if (said !== 'done') throw new Error(`logout: ${said}`)
    await stage.until(async () => (await stage.looks()).every(({ state }) => state === 'signed-out'), 'all signed out')
    return
  }
  const lives = (await stage.looks()).map(({ lifeSeconds }) => lifeSeconds * 1000)
  stage.proxy.count()
  if (state === 'about to end') await stage.pass(Math.max(...lives) - REST_MS)
  if (state === 'expired' || state === 'refresh under way') await stage.pass(Math.max(...lives) + 1000)
}

const wrong = (found: readonly string[], allowed: readonly string[], where: string): string[] => {
  const others = found.filter((one) => !allowed.includes(one))
  return others.length === 0 ? [] : [`${where}: ${told(others)}`]
}

/** `signed-in`, or with numbers when tabs differ: `19 signed-in, 1 unknown`. */
function told(all: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const one of all) counts.set(one, (counts.get(one) ?? 0) + 1)
  return counts.size === 1 ? (all[0] ?? '') : [...counts].map(([one, count]) => `${count} ${one}`).join(', ')
}
