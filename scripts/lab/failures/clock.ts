import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Child } from '../bench/child.ts'
import { type Failure, Faults } from './failure.ts'
import { EMAIL, startLoad, told } from './load.ts'
import { type Env, type Node, newService, startNode, statusOf, terminate } from './node.ts'
import { me, pairOf, people, postLogin, postLogout, postRefresh, type Tokens } from './people.ts'

const HOUR_SECONDS = 3600
const SESSIONS = 6
/** Everything must work again within this time after a step: the keyring is read every second. */
const TIMEOUT_MS = 5000

/**
 * The clock of a machine is set forward and back again, then back and forward again, in the middle of a key rotation.
 */
export const clockFailure: Failure = {
  title: 'the clock is set forward by an hour and back, then back by an hour and forward, under load',
  async run(run) {
    const faults = new Faults()
    const file = join(run.folder, 'clock')
    const step = setClock(file)
    const env = await newService(run, {
      FAILURES_CLOCK_FILE: file,
      NODE_OPTIONS: '--import ./scripts/lab/failures/stepped-clock.js',
      MAX_SESSIONS_PER_ACCOUNT: '1000',
    })
    const node = await startNode(env)
    await planRotation(env)
    const [gone, ...sessions] = await people(node.origin, EMAIL, SESSIONS + 1)
    const ended = [gone as Tokens]
    await postLogout(node.origin, gone as Tokens)

    const load = startLoad({ origin: () => node.origin, sessions, pause: run.pause })
    const slowest: number[] = []
    for (const offset of [HOUR_SECONDS, 0, -HOUR_SECONDS, 0]) {
      step(offset)
      slowest.push(await settle(node, `at ${offset} s`, faults))
      const leaver = pairOf(await postLogin(node.origin, EMAIL))
      if (leaver !== undefined && (await postLogout(node.origin, leaver)).status === 204) ended.push(leaver)
      await checkEnded(node, ended, `at ${offset} s`, faults)
      await sleep(run.seconds * 1000) // expired entries are removed within half a minute
      await checkEnded(node, ended, `at ${offset} s, later`, faults)
    }
    await load.stop()
    for (const { tokens } of load.clients)
      faults.expect((await postRefresh(node.origin, tokens)).status === 200, 'a session was lost')
    checkAnswers(load.other, faults)
    const { code } = await terminate(node)
    faults.expect(code === 0, `exit code ${code}`)
    return {
      figures:
        `${told(load)}; ${ended.length} ended sessions stayed ended; ` +
        `in order ${slowest.map(Math.round).join(', ')} ms after each step`,
      faults: faults.list(),
    }
  },
}

/**
 * What a step may cause: access tokens that are expired or not yet valid, and a moment without a signing key. Nobody is
 * logged out.
 */
function checkAnswers(other: ReadonlyMap<string, number>, faults: Faults): void {
  const fair = ['verified: 401 token_expired', 'verified: 401 invalid_token', 'refreshed: 503 signing_unavailable']
  for (const [name, count] of other)
    if (!fair.includes(name) && name !== 'loggedIn: 503 signing_unavailable') faults.add(`${count} × ${name}`)
}

function setClock(file: string): (offset: number) => void {
  const step = (offset: number) => {
    writeFileSync(`${file}.new`, String(offset * 1000))
    renameSync(`${file}.new`, file)
  }
  step(0)
  return step
}

/**
 * Plans a key that signs in a quarter of an hour: with the clock an hour ahead it signs, and when the clock is set back
 * it waits again.
 */
async function planRotation({ KEYS_DIR = '', FAILURES_CLOCK_FILE = '' }: Env): Promise<void> {
  await new Child({ args: ['scripts/keys.ts', 'rotate'], env: { KEYS_DIR, FAILURES_CLOCK_FILE } }).finished()
}

/** @returns milliseconds until a login gives working tokens and the server is ready */
async function settle({ origin }: Node, when: string, faults: Faults): Promise<number> {
  const began = performance.now()
  for (;;) {
    const pair = pairOf(await postLogin(origin, EMAIL))
    const works = pair !== undefined && (await me(origin, pair)).status === 200
    if (works && (await statusOf(`${origin}/health/ready`)) === 200) return performance.now() - began
    if (performance.now() - began > TIMEOUT_MS) {
      faults.add(`${when}: not in order within ${TIMEOUT_MS} ms`)
      return performance.now() - began
    }
    await sleep(20)
  }
}

async function checkEnded({ origin }: Node, ended: readonly Tokens[], when: string, faults: Faults): Promise<void> {
  for (const tokens of ended) {
    const { status } = await me(origin, tokens)
    faults.expect(status === 401, `${when}: the access token of an ended session: ${status}`)
    const refreshed = await postRefresh(origin, tokens)
    faults.expect(refreshed.status === 401, `${when}: the refresh token of an ended session: ${refreshed.status}`)
  }
}
