import { setTimeout as sleep } from 'node:timers/promises'
import type { Issuer } from '../issuer.ts'
import { MAX_FEED_AGE_SECONDS } from './runtimes.ts'
import { type RuntimeTrial, statusOf } from './trial.ts'

/** For runtimes that follow: the 99th percentile. */
const FOLLOW_BOUND_MS = 1000
/** For those that look on demand: the age, and one look at the issuer. */
const ON_DEMAND_BOUND_MS = MAX_FEED_AGE_SECONDS * 1000 + 1000
const GIVE_UP_MS = 10_000
const POLL_MS = 5

/**
 * Ends sessions and revokes accounts in turn, and measures from the answer of the issuer to the first refusal of each
 * runtime. All are asked all the time.
 */
export async function revocations(trials: readonly RuntimeTrial[], issuer: Issuer, times: number): Promise<void> {
  const delays = new Map<RuntimeTrial, number[]>(trials.map((trial) => [trial, []]))
  for (let i = 0; i < times; i += 1) {
    const isAccount = i % 2 === 1
    const token = isAccount ? await issuer.logInAs(`account-${i}@example.com`) : await issuer.logIn()
    await accept(trials, token)
    await sleep((i * 137) % 1000) // so that the age of what was looked at differs
    await (isAccount ? issuer.logOutEverywhere(token) : issuer.logOut(token))
    const answered = performance.now()
    await Promise.all(
      trials.map(async (trial) => {
        const delay = await untilRefused(trial, token, answered)
        if (delay !== undefined) delays.get(trial)?.push(delay)
      }),
    )
  }
  for (const [trial, all] of delays) tell(trial, all)
}

async function accept(trials: readonly RuntimeTrial[], token: string): Promise<void> {
  for (const trial of trials) {
    const status = await statusOf(trial, token)
    if (status !== 200) trial.faults.push(`a good token before its revocation: ${status}`)
  }
}

async function untilRefused(trial: RuntimeTrial, token: string, answered: number): Promise<number | undefined> {
  for (;;) {
    const status = await statusOf(trial, token)
    const delay = performance.now() - answered
    if (status === 401) return delay
    if (status !== 200) trial.faults.push(`a revoked token: ${status}`)
    if (delay > GIVE_UP_MS) return void trial.faults.push(`a revoked token is accepted after ${GIVE_UP_MS} ms`)
    await sleep(POLL_MS)
  }
}

function tell(trial: RuntimeTrial, all: number[]): void {
  const sorted = all.sort((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN)
  trial.counts.set('revoked', `${at(0.5)} / ${at(0.99)} / ${at(1)}`)
  const bound = trial.runtime.mode === 'follow' ? FOLLOW_BOUND_MS : ON_DEMAND_BOUND_MS
  if (at(0.99) > bound) trial.faults.push(`revoked tokens are refused after ${at(0.99)} ms (p99), not ${bound}`)
}

/**
 * A token is revoked while nobody asks, and for longer than the copy may be old: the first request has to be refused.
 */
export async function revokedWhileIdle(trials: readonly RuntimeTrial[], issuer: Issuer): Promise<void> {
  for (let i = 0; i < 3; i += 1) {
    const token = await issuer.logIn()
    await accept(trials, token)
    await issuer.logOut(token)
    await sleep(MAX_FEED_AGE_SECONDS * 1000 + 500)
    for (const trial of trials) {
      const status = await statusOf(trial, token)
      if (status !== 401) trial.faults.push(`revoked while nobody asked: the first request got ${status}`)
    }
  }
}

/**
 * Clients go away while their request waits for a look at the issuer. Runtimes end what such a request has begun, and
 * others may wait for it.
 */
export async function cutOff(trials: readonly RuntimeTrial[], issuer: Issuer): Promise<void> {
  const token = await issuer.logIn()
  await accept(trials, token)
  for (const milliseconds of [0, 1, 3, 10]) {
    await sleep(MAX_FEED_AGE_SECONDS * 1000 + 200)
    for (const trial of trials) {
      const gone = Array.from({ length: 5 }, () => statusOf(trial, token, AbortSignal.timeout(milliseconds)))
      await sleep(milliseconds)
      const statuses = await Promise.all(Array.from({ length: 5 }, () => statusOf(trial, token)))
      await Promise.all(gone)
      const wrong = statuses.find((status) => status !== 200)
      if (wrong !== undefined)
        trial.faults.push(`a good token, while others go away after ${milliseconds} ms: ${wrong}`)
    }
  }
}

/** The issuer signs with a new key at once, as after a leak: verifiers meet it for the first time in this token. */
export async function nextKey(trials: readonly RuntimeTrial[], issuer: Issuer): Promise<void> {
  const kid = (token: string) => Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()
  const old = await issuer.logIn()
  await accept(trials, old)
  await issuer.rotateNow()
  let token = old
  while (kid(token) === kid(old)) token = await issuer.logIn()
  for (const trial of trials) {
    const began = performance.now()
    const statuses = [await statusOf(trial, token), await statusOf(trial, old)]
    const isRight = statuses.every((status) => status === 200)
    trial.counts.set('next key', isRight ? `${Math.round(performance.now() - began)}` : `**${statuses}**`)
    if (!isRight) trial.faults.push(`a token of the next key, and one of the key before: ${statuses}`)
  }
}
