import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserName, programOf } from './browser.ts'
import { startChromium } from './chromium.ts'
import type { Fault } from './faults.ts'
import { startFirefox } from './firefox.ts'
import { Stage } from './stage.ts'
import { type Outcome, STATES, type StateName, tryFault } from './trial.ts'

const START: Record<BrowserName, (program: string) => Promise<Browser>> = {
  chromium: startChromium,
  firefox: startFirefox,
}

export interface Row {
  readonly fault: string
  /** Why two refreshes are right in some states. */
  readonly because?: string | undefined
  readonly outcomes: readonly Outcome[]
}

/** Why nothing was tried. */
export interface LeftOut {
  readonly leftOut: string
}

export interface Tried {
  readonly version: string
  readonly rows: readonly Row[]
  readonly faults: readonly string[]
}

/**
 * Every fault in every state of the session, in so many tabs of a real browser, with a real server process.
 *
 * @param report called with each row
 * @returns why not, when this machine does not have the browser or can't run it
 */
export async function tryBrowser(
  name: BrowserName,
  plan: { tabs: number; faults: readonly Fault[]; states?: readonly StateName[] },
  report: (row: Row) => void = () => undefined,
): Promise<Tried | LeftOut> {
  const program = programOf(name)
  if (program === undefined) return { leftOut: `${name} is not installed` }
  const browser = await START[name](program).catch((error: Error) => ({ leftOut: `${program}: ${error.message}` }))
  if ('leftOut' in browser) return browser
  const folder = await mkdtemp(join(tmpdir(), 'signet-client-lab-'))
  const stage = await Stage.set(browser, plan.tabs, folder).catch(async (error) => {
    await browser.close()
    throw error
  })
  try {
    const rows: Row[] = []
    for (const fault of plan.faults) {
      const outcomes: Outcome[] = []
      for (const state of plan.states ?? STATES) outcomes.push(await outcomeOf(stage, state, fault))
      const row = { fault: fault.name, because: fault.twice?.because, outcomes }
      rows.push(row)
      report(row)
    }
    return { version: browser.version, rows, faults: rows.flatMap(faultsOf) }
  } finally {
    await stage.end()
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

const faultsOf = ({ fault, outcomes }: Row) => outcomes.flatMap(({ faults }) => faults.map((one) => `${fault}: ${one}`))

/** A trial that does not come to its end is a fault too, and the next one begins in order. */
async function outcomeOf(stage: Stage, state: StateName, fault: Fault): Promise<Outcome> {
  try {
    const outcome = await tryFault(stage, state, fault)
    return { ...outcome, faults: outcome.faults.map((one) => `${state}: ${one}`) }
  } catch (error) {
    await fault.stop(stage).catch(() => undefined)
    await stage.reset()
    return {
      during: '?',
      after: '?',
      asked: 0,
      arrived: 0,
      lostWithPages: 0,
      faults: [`${state}: ${(error as Error).message}`],
    }
  }
}
