import { mock } from 'node:test'
import type { Test } from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { RemoteRevocations } from '../../src/verifier/feed/remote-revocations.ts'
import { RemoteKeys } from '../../src/verifier/keys/remote-keys.ts'
import type { VerifierEvent, VerifierOptions } from '../../src/verifier/options.ts'
import { Standstill } from '../../src/verifier/standstill.ts'
import { resolveOptions } from './node-options.ts'
import '../support/fake-timeouts.ts'
import { type Copy, ISSUER, jwk, NOW, signed } from './feed-copies.ts'

export const other = publicJwk(await generatePrivateKey(2048))

interface Asked {
  readonly url: URL
  readonly headers: Headers
  readonly signal: AbortSignal
}

/** A follower of an issuer whose feed, JWKS and clock the test controls. */
export function following(t: Test, options: Partial<VerifierOptions> = {}) {
  const clock = { seconds: NOW, milliseconds: 0 }
  const issuer = { feed: async () => copy({}), jwks: [jwk] as unknown[], speaksChanges: false }
  const asked: Asked[] = []
  const searches: string[] = []
  const events: VerifierEvent[] = []
  const resolved = resolveOptions({
    issuer: ISSUER,
    audience: 'me',
    revocations: true,
    now: () => clock.seconds,
    onEvent: (event) => void events.push(event),
    fetch: async (input, init) => {
      const url = new URL(String(input))
      if (url.pathname.endsWith('jwks.json')) {
        searches.push(url.search)
        return Response.json({ keys: issuer.jwks })
      }
      // A server that does not know the change stream, unless a test says otherwise.
      if (url.searchParams.has('after') && !issuer.speaksChanges) return new Response(null, { status: 400 })
      asked.push({ url, headers: new Headers(init?.headers), signal: init?.signal as AbortSignal })
      return issuer.feed()
    },
    ...options,
  })
  if (resolved.feed === undefined) throw new Error('no feed')
  const standstill = new Standstill(resolved.now)
  standstill.start()
  const keys = new RemoteKeys(resolved, () => clock.milliseconds, standstill)
  const revocations = new RemoteRevocations(resolved, resolved.feed, keys, standstill, () => clock.milliseconds)
  const close = () => [keys, revocations, standstill].map((part) => part.close())
  t.teardown(close)
  /** Seconds in which the process works. */
  const work = (seconds: number) => {
    for (let i = 0; i < seconds; i += 1) {
      clock.seconds += 1
      standstill.beat()
    }
  }
  /** Advances the clock in small steps, so that everything that is due happens in order. */
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds * 4; i += 1) {
      clock.milliseconds += 250
      mock.timers.tick(250)
      await settled()
    }
  }
  return { keys, revocations, issuer, asked, searches, events, clock, work, pass, close }
}

export async function settled(): Promise<void> {
  for (let i = 0; i < 30; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

export const copy = async (claims: Copy, etag = '"one"') => new Response(await signed(claims), { headers: { etag } })
export const outage = async () => {
  throw new TypeError('fetch failed')
}
/** An answer that arrives when the test releases it. */
export function late(t: Test) {
  const { promise, resolve, reject } = Promise.withResolvers<Response>()
  t.teardown(() => reject(new Error('the test is over')))
  promise.catch(() => undefined)
  return { promise, resolve }
}
