import { mock } from 'node:test'
import type { Test } from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { RemoteKeys } from '../../src/verifier/keys/remote-keys.ts'
import type { VerifierEvent, VerifierOptions } from '../../src/verifier/options.ts'
import { Standstill } from '../../src/verifier/standstill.ts'
import { resolveOptions } from './node-options.ts'
import '../support/fake-timeouts.ts'

/** Epoch seconds when a test begins. */
const NOW = 1_800_000_000
/** The private key of `first`, which must never be published. */
export const firstPrivate = await generatePrivateKey(2048)
export const first = publicJwk(firstPrivate)
export const second = publicJwk(await generatePrivateKey(2048))
export const unknown = (n: number) => `unknown-${n}`

/** Keys of an issuer whose answers and clock the test controls. */
export function remote(
  t: Test,
  answer: (url: URL) => Response | Promise<Response>,
  changes: Partial<VerifierOptions> = {},
) {
  const clock = { milliseconds: 0 }
  const requests: RequestInit[] = []
  const urls: URL[] = []
  const events: VerifierEvent[] = []
  const options = resolveOptions({
    issuer: 'https://signet.example',
    audience: 'me',
    keysMaxStale: 3600,
    onEvent: (event) => void events.push(event),
    now: () => NOW + clock.milliseconds / 1000,
    fetch: async (input, init) => {
      const url = new URL(String(input))
      urls.push(url)
      requests.push(init ?? {})
      return answer(url)
    },
    ...changes,
  })
  const standstill = new Standstill(options.now)
  standstill.start()
  const keys = new RemoteKeys(options, () => clock.milliseconds, standstill)
  t.teardown(() => {
    keys.close()
    standstill.close()
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
  return { keys, requests, urls, events, pass, stall }
}

export const jwks = (keys: unknown[], headers: Record<string, string> = { 'cache-control': 'public, max-age=60' }) =>
  new Response(JSON.stringify({ keys }), { headers })
export const outage = () => {
  throw new TypeError('fetch failed')
}
export const UNAVAILABLE = { code: 'keys_unavailable', status: 503 }
