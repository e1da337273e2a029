import { mock } from 'node:test'
import type { Test } from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { resolveOptions, type VerifierEvent } from '../../src/verifier/options.ts'
import { createRemoteKeys } from '../../src/verifier/remote-keys.ts'
import '../support/fake-timeouts.ts'

/** The private key of `first`, which must never be published. */
export const firstPrivate = await generatePrivateKey(2048)
export const first = publicJwk(firstPrivate)
export const second = publicJwk(await generatePrivateKey(2048))
export const unknown = (n: number) => `unknown-${n}`

/** Keys of an issuer whose answers and clock the test controls. */
export function remote(t: Test, answer: () => Response | Promise<Response>) {
  const clock = { milliseconds: 0 }
  const requests: RequestInit[] = []
  const events: VerifierEvent[] = []
  const options = resolveOptions({
    issuer: 'https://signet.example',
    audience: 'me',
    keysMaxStale: 3600,
    onEvent: (event) => void events.push(event),
    fetch: async (_url, init) => {
      requests.push(init ?? {})
      return answer()
    },
  })
  const keys = createRemoteKeys(options, () => clock.milliseconds)
  t.teardown(() => {
    keys.close()
  })
  /** Time in which no timer fires: a busy process, or a machine that was suspended. */
  const stall = (seconds: number) => {
    clock.milliseconds += seconds * 1000
  }
  const pass = async (seconds: number) => {
    stall(seconds)
    mock.timers.tick(seconds * 1000)
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { keys, requests, events, pass, stall }
}

export const jwks = (keys: unknown[], headers: Record<string, string> = { 'cache-control': 'public, max-age=60' }) =>
  new Response(JSON.stringify({ keys }), { headers })
export const outage = () => {
  throw new TypeError('fetch failed')
}
export const UNAVAILABLE = { code: 'keys_unavailable', status: 503 }
