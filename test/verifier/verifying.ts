import type { Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createVerifier, type VerifierEvent, type VerifierOptions } from '../../src/verifier/index.ts'
import { startApp } from '../support/app.ts'
import { issuerOf } from '../support/issuer.ts'
import { serverMint } from '../support/mint.ts'

/** A verifier in front of a real server; the clock stands still until the test moves it. */
export async function verifying(t: Test, options: Partial<VerifierOptions> = {}) {
  const clock = { seconds: systemClock() }
  const now = () => clock.seconds
  const server = await startApp(t, { now, env: { ISSUER: 'https://signet.example', CLOCK_SKEW: '5' } })
  const issuer = issuerOf(() => server.app)
  const events: VerifierEvent[] = []
  let heard = () => {}
  const create = (more: Partial<VerifierOptions>) => {
    const common = { issuer: 'https://signet.example', audience: 'https://signet.example', fetch: issuer.fetch, now }
    const verifier = createVerifier({ ...common, ...more })
    t.teardown(() => verifier.close())
    return verifier
  }
  const onEvent = (event: VerifierEvent) => {
    events.push(event)
    heard()
  }
  const verifier = create({ onEvent, ...options })
  /** Another verifier of the same issuer. `beforeFeed` is waited for before the issuer is asked for the feed. */
  const another = (more: Partial<VerifierOptions>, beforeFeed: () => Promise<unknown>) =>
    create({
      ...more,
      fetch: async (input, init) => {
        if (String(input).includes('revocations')) await beforeFeed()
        return issuer.fetch(input, init)
      },
    })
  /** Resolves when an event was seen that fits. */
  const seen = async (fits: (event: VerifierEvent) => boolean) => {
    while (!events.some(fits)) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
    events.length = 0
  }
  return { server, issuer, verifier, another, clock, seen, mint: await serverMint(server, clock.seconds) }
}

export const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'good',
    (error) => error.code ?? error.name,
  )
