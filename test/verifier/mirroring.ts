import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { monotonicClock, systemClock } from '../../src/clock.ts'
import { createMirror } from '../../src/verifier/gate/mirror.ts'
import { createVerifier, type VerifierEvent, type VerifierOptions } from '../../src/verifier/index.ts'
import { nodePlatform } from '../../src/verifier/platform/node-platform.ts'
import { makeVerifier } from '../../src/verifier/verifier.ts'
import { bearer, newUser, startApp } from '../support/app.ts'
import { issuerOf } from '../support/issuer.ts'

export const ISSUER = 'https://signet.example'
export const FEED = '/.well-known/revocations'
export const JWKS = '/.well-known/jwks.json'
export const METADATA = '/.well-known/oauth-authorization-server'

/** What came, and who waits for it. */
function hearing() {
  const events: VerifierEvent[] = []
  let heard = () => {}
  return {
    onEvent(event: VerifierEvent) {
      events.push(event)
      heard()
    },
    async seen(fits: (event: VerifierEvent) => boolean) {
      while (!events.some(fits))
        await new Promise<void>((resolve) => {
          heard = resolve
        })
      events.length = 0
    },
  }
}

/** A real issuer in this process, and a mirror of it on a port. */
export async function mirroring(t: Test, { mostWaiters }: { mostWaiters?: number } = {}) {
  const clock = { seconds: systemClock(), milliseconds: 0 }
  const now = () => clock.seconds
  const server = await startApp(t, { now, env: { ISSUER, CLOCK_SKEW: '5' } })
  const issuer = issuerOf(() => server.app)
  /** What the issuer said, by path with query. */
  const said: { readonly question: string; readonly body: string }[] = []
  const fetching: typeof fetch = async (input, init) => {
    const { status, headers, body: stream } = await issuer.fetch(input, init)
    const url = new URL(String(input))
    const body = between.change(await new Response(stream).text(), url.pathname)
    said.push({ question: url.pathname + url.search, body })
    return new Response(status === 304 ? null : body, { status, headers })
  }
  /** Somebody between issuer and mirror. */
  const between = { change: (body: string, _path: string) => body }
  const failures: string[] = []
  const onFailure = (reason: string) => void failures.push(reason)
  const mirror = createMirror({
    ...{ issuer: ISSUER, onFailure, fetch: fetching, now, monotonic: () => monotonicClock() + clock.milliseconds },
    ...(mostWaiters !== undefined && { mostWaiters }),
  })
  const heard = hearing()
  const common = { issuer: ISSUER, audience: ISSUER, revocations: true, now } as const
  const onEvent = (event: VerifierEvent) => {
    if (event.type === 'revocations_applied') mirror.tell()
    heard.onEvent(event)
  }
  const own = makeVerifier({ ...common, fetch: fetching, onEvent }, nodePlatform, mirror.mirrored)
  const listening = createServer(mirror.listener).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  t.teardown(() => {
    own.close()
    mirror.close()
    listening.close().closeAllConnections()
  })
  /** Another service, which knows nothing but the mirror. */
  const follower = (t: Test, more: Partial<VerifierOptions> = {}) => {
    const { onEvent, seen } = hearing()
    const base = `http://127.0.0.1:${port}`
    const verifier = createVerifier({
      ...{ ...common, onEvent, jwksUri: base + JWKS, revocationsUri: base + FEED },
      ...more,
    })
    t.teardown(() => verifier.close())
    return { verifier, seen }
  }
  const ask = async (path: string, method = 'GET', headers: Record<string, string> = {}) => {
    const sent = request({ port, path, method, headers, agent: false }).end()
    const [reply] = (await once(sent, 'response')) as [IncomingMessage]
    return { status: reply.statusCode ?? 0, headers: reply.headers, body: await text(reply) }
  }
  /** Ends the session of a user. @returns its token, which was good */
  const revoke = async () => {
    const user = await newUser(server.app)
    await server.app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(user.token) })
    return user.token
  }
  return {
    ...{ server, issuer, said, clock, mirror, own, seen: heard.seen, follower, ask, revoke, failures, port, between },
  }
}
