import { setTimeout as sleep } from 'node:timers/promises'
import type { Issuer } from './issuer.ts'
import type { Trial } from './trial.ts'

/** Who accepts a token for so long after its revocation does not know of revocations. */
const GIVE_UP_MS = 3000
/** The 99th percentile of all others. */
const BOUND_MS = 1000
const POLL_MS = 5
/** A service of several processes has noticed it when so many requests in a row are refused. */
const IN_A_ROW = 4

/**
 * The column "taken back": milliseconds from the answer of the issuer, which ended a session or all of an account, to
 * the first refusal. All programs are asked all the time.
 *
 * @param times how many revocations those have to notice that notice the first one
 * @returns the column of the report
 */
export async function takenBack(trials: readonly Trial[], issuer: Issuer, times: number): Promise<string> {
  const delays = new Map<Trial, number[]>(trials.map((trial) => [trial, []]))
  for (let i = 0; i < times && delays.size > 0; i += 1) {
    const isAccount = i % 2 === 1
    const token = isAccount ? await issuer.logInAs(`taken-back-${i}@example.com`) : await issuer.logIn()
    for (const trial of delays.keys())
      if (!(await trial.verifier.ask(token)).accepted) trial.faults.push(`${trial.program.name}: refused too early`)
    await sleep((i * 137) % 1000) // so that the long polls are of different ages
    await (isAccount ? issuer.logOutEverywhere(token) : issuer.logOut(token))
    const answered = performance.now()
    await Promise.all([...delays].map(([trial, all]) => measure(trial, all, token, answered)))
    if (i === 0)
      for (const [trial, all] of delays) {
        if (all.length > 0) continue
        if (trial.program.takesBack === true) trial.faults.push(`${trial.program.name}: nothing is taken back`)
        trial.cells.set('taken back', 'at exp') // when it expires
        delays.delete(trial)
      }
  }
  for (const [trial, all] of delays) tell(trial, all, times)
  return 'taken back'
}

async function measure({ verifier }: Trial, all: number[], token: string, answered: number): Promise<void> {
  let since = 0
  for (let refusals = 0; refusals < IN_A_ROW; ) {
    const { accepted } = await verifier.ask(token)
    const delay = performance.now() - answered
    refusals = accepted ? 0 : refusals + 1
    if (refusals === 1) since = delay
    if (refusals === 0 && delay > GIVE_UP_MS) return
    await sleep(POLL_MS)
  }
  all.push(since)
}

function tell({ program, cells, faults }: Trial, all: number[], times: number): void {
  const sorted = all.sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN)
  cells.set('taken back', `${at(0.5)} / ${at(0.99)} / ${at(1)} ms`)
  if (all.length < times) faults.push(`${program.name}: accepted: ${times - all.length} tokens that were taken back`)
  if (at(0.99) > BOUND_MS) faults.push(`${program.name}: taken back after ${at(0.99)} ms (p99), not ${BOUND_MS}`)
}
