import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorError } from '../../../../src/errors/app-error.ts'
import { freePort } from '../../../../test/support/free-port.ts'
import type { Place } from '../program.ts'
import { start } from '../verifiers.ts'
import { type GuardTrial, get, isUp } from './guard-trial.ts'

/** How long a service may take to notice that the issuer is back: a failed request is repeated after two seconds. */
const BACK_MS = 6000
/** A process that stood still for three seconds has to look before it takes a token. */
const STANDSTILL_MS = 3500
/** From SIGTERM to the end of a service that has no request open; gunicorn looks after its workers once a second. */
const END_MS = 5000

/**
 * The issuer can't be reached. Who has its keys goes on and refuses what was taken back before; a service that starts
 * now answers 503. What is taken back meanwhile is refused when the issuer is back.
 */
export async function outage(trials: readonly GuardTrial[], place: Place): Promise<void> {
  const { issuer } = place
  const [good, before, meanwhile] = [await issuer.logIn(), await issuer.logIn(), await issuer.logIn()]
  await issuer.logOut(before)
  await sleep(1000)
  issuer.cut(true)
  await issuer.logOut(meanwhile)
  const started = await Promise.all(trials.map((trial) => startAnother(trial, place)))
  for (const [i, trial] of trials.entries()) {
    const url = started[i]?.url ?? ''
    await expect(trial, 'issuer away: a good token', trial.url, good, 200)
    await expect(trial, 'issuer away: taken back before', trial.url, before, 401)
    await expect(trial, 'issuer away: a new process', url, good, 503)
    await expect(trial, 'issuer away: a bad token', trial.url, 'x.y.z', 401)
    if (!(await isUp(`${url}/health`))) trial.faults.push('issuer away: the public path of a new process')
  }
  issuer.cut(false)
  const back = performance.now()
  const stopped = await issuer.logIn()
  for (const [i, trial] of trials.entries()) {
    await until(trial, 'issuer back: taken back meanwhile', trial.url, meanwhile, 401, back)
    await until(trial, 'issuer back: the new process', started[i]?.url ?? '', good, 200, back)
    await until(trial, 'issuer back: a new token', started[i]?.url ?? '', stopped, 200, back)
  }
  for (const another of started) another.signal('SIGSTOP')
  issuer.cut(true) // else the answer to its long poll would wait for it in the socket
  await issuer.logOut(stopped)
  await sleep(STANDSTILL_MS)
  issuer.cut(false)
  for (const another of started) another.signal('SIGCONT')
  const what = 'after a standstill: taken back meanwhile'
  await Promise.all(trials.map((trial, i) => expect(trial, what, started[i]?.url ?? '', stopped, 401)))
  for (const [i, trial] of trials.entries()) {
    const ended = await started[i]?.end()
    trial.counts.set('ends in', `${ended} ms`)
    if (!(Number(ended) <= END_MS)) trial.faults.push(`it ends ${ended} ms after SIGTERM`)
  }
}

async function startAnother({ guard }: GuardTrial, place: Place) {
  const port = await freePort()
  const { child, complaint } = start(await guard.serve(place, port))
  const url = `http://127.0.0.1:${port}`
  const deadline = performance.now() + 30_000
  while (!(await isUp(`${url}/health`))) {
    if (performance.now() > deadline) throw new OperatorError(`${guard.name} does not listen: ${complaint()}`)
    await sleep(50)
  }
  const end = async () => {
    const began = performance.now()
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
    return Math.round(performance.now() - began)
  }
  // Each process leads a group of its own, with its workers.
  const signal = (name: NodeJS.Signals) => process.kill(-Number(child.pid), name)
  return { url, end, signal }
}

async function expect(trial: GuardTrial, what: string, url: string, token: string, status: number): Promise<void> {
  const answer = await get(url, { authorization: `Bearer ${token}` })
  if (answer.status !== status) trial.faults.push(`${what}: ${answer.status} ${answer.body.slice(0, 100)}`)
  if (status === 503 && (answer.headers.get('retry-after') ?? '') === '') trial.faults.push(`${what}: no Retry-After`)
}

async function until(
  trial: GuardTrial,
  what: string,
  url: string,
  token: string,
  status: number,
  since: number,
): Promise<void> {
  while ((await get(url, { authorization: `Bearer ${token}` })).status !== status) {
    if (performance.now() - since > BACK_MS) return void trial.faults.push(`${what}: not after ${BACK_MS} ms`)
    await sleep(50)
  }
}
