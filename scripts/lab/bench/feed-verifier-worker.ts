import { setTimeout as sleep } from 'node:timers/promises'
import { createVerifier, type Verifier } from '../../../src/verifier/index.ts'
import type { VerifierOrder } from './feed-verifier.ts'

// Started by feed-verifier.ts.

/** How exactly an instant is known. */
const LOOK_MS = 5
/** Whoever accepts a revoked token for longer has failed. */
const TIMEOUT_MS = 30_000

let verifier: Verifier | undefined

process.channel?.ref() // a verifier alone keeps no process alive

process.on('message', async (order: VerifierOrder) => {
  if ('hydrate' in order) process.send?.(await hydrate(order.hydrate))
  if ('watch' in order) process.send?.(await watch(order.watch))
})

async function hydrate(issuer: string): Promise<number> {
  verifier = createVerifier({ issuer, audience: null, revocations: true, onStale: 'reject', timeout: TIMEOUT_MS })
  await verifier.hydrate()
  return verifier.stats().revocations
}

async function watch(tokens: readonly string[]): Promise<number[]> {
  const refused = new Map<string, number>()
  const began = performance.now()
  while (refused.size < tokens.length) {
    for (const token of tokens) if (!refused.has(token) && !(await isGood(token))) refused.set(token, now())
    if (performance.now() - began > TIMEOUT_MS) throw new Error('a revoked token is accepted')
    await sleep(LOOK_MS)
  }
  return tokens.map((token) => refused.get(token) ?? Number.NaN)
}

function isGood(token: string): Promise<boolean> {
  return (verifier as Verifier).verify(token).then(
    () => true,
    (error) => {
      if (error.code !== 'invalid_token') throw error
      return false
    },
  )
}

const now = () => performance.timeOrigin + performance.now()
