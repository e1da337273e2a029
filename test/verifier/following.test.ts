import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { resolveOptions, type VerifierEvent, type VerifierOptions } from '../../src/verifier/options.ts'
import { createRemoteKeys } from '../../src/verifier/remote-keys.ts'
import { createRemoteRevocations } from '../../src/verifier/remote-revocations.ts'
import '../support/fake-timeouts.ts'
import { type Copy, caller, ISSUER, jwk, NOW, signed } from './feed-copies.ts'

const other = publicJwk(await generatePrivateKey(2048))

interface Asked {
  readonly url: URL
  readonly headers: Headers
  readonly signal: AbortSignal
}

/** A follower of an issuer whose feed, JWKS and clock the test controls. */
function following(t: Test, options: Partial<VerifierOptions> = {}) {
  const clock = { seconds: NOW, milliseconds: 0 }
  const issuer = { feed: async () => copy({}), jwks: [jwk] as unknown[] }
  const asked: Asked[] = []
  const events: VerifierEvent[] = []
  const resolved = resolveOptions({
    issuer: ISSUER,
    audience: 'me',
    revocations: true,
    now: () => clock.seconds,
    onEvent: (event) => void events.push(event),
    fetch: async (input, init) => {
      const url = new URL(String(input))
      if (url.pathname.endsWith('jwks.json')) return Response.json({ keys: issuer.jwks })
      asked.push({ url, headers: new Headers(init?.headers), signal: init?.signal as AbortSignal })
      return issuer.feed()
    },
    ...options,
  })
  if (resolved.feed === undefined) throw new Error('no feed')
  const keys = createRemoteKeys(resolved, () => clock.milliseconds)
  const revocations = createRemoteRevocations(resolved, resolved.feed, keys)
  const close = () => [keys, revocations].map((part) => part.close())
  t.teardown(close)
  /** Advances the clock in small steps, so that everything that is due happens in order. */
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds * 4; i += 1) {
      clock.milliseconds += 250
      mock.timers.tick(250)
      await settled()
    }
  }
  return { keys, revocations, issuer, asked, events, clock, pass, close }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

const copy = async (claims: Copy, etag = '"one"') => new Response(await signed(claims), { headers: { etag } })
const outage = async () => {
  throw new TypeError('fetch failed')
}
/** An answer that arrives when the test releases it. */
function late(t: Test) {
  const { promise, resolve, reject } = Promise.withResolvers<Response>()
  t.teardown(() => reject(new Error('the test is over')))
  promise.catch(() => undefined)
  return { promise, resolve }
}

t.test('the first copy comes at once, and whoever has one waits for the next', async (t) => {
  const { revocations, issuer, asked, pass } = following(t)
  await Promise.all([revocations.hydrate(), revocations.hydrate()])
  t.equal(asked.length, 1, 'one follower, however many wait for it')
  t.same([asked[0]?.url.search, asked[0]?.headers.get('if-none-match')], ['', null])
  const { promise } = late(t)
  issuer.feed = () => promise
  await pass(1)
  t.equal(asked.length, 2)
  t.same([asked[1]?.url.search, asked[1]?.headers.get('if-none-match')], ['?wait=25', '"one"'])
})

t.test('304: nothing is new, and that is no failure', async (t) => {
  const { revocations, issuer, asked, events, pass } = following(t)
  issuer.feed = () => copy({ sessions: ['s1'] })
  await revocations.hydrate()
  issuer.feed = async () => new Response(null, { status: 304 })
  await pass(2)
  t.ok(asked.length > 4, 'asked again and again')
  t.same(asked.at(-1)?.headers.get('if-none-match'), '"one"')
  t.equal(revocations.judge(caller), 'revoked')
  t.same(
    events.map(({ type }) => type),
    ['keys_fetched', 'revocations_applied'],
  )
})

t.test('a long poll has its time on top of the time-out, and the first request has not', async (t) => {
  const { revocations, issuer, asked, pass } = following(t, { timeout: 1 })
  const { promise } = late(t)
  let answered = false
  issuer.feed = async () => {
    if (answered) return promise
    answered = true
    return copy({})
  }
  await revocations.hydrate()
  await pass(1)
  const [first, poll] = asked.map(({ signal }) => signal) as [AbortSignal, AbortSignal]
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => resolve(clearInterval(timer)), 20) // later than a time-out that was to end before
  })
  t.equal(first.aborted, true)
  t.equal(poll.aborted, false)
})

t.test('after a failure the next answer is asked for at once: it tells whether the issuer is back', async (t) => {
  const { revocations, issuer, asked, events, pass } = following(t)
  await revocations.hydrate()
  issuer.feed = outage
  await pass(1)
  t.match(events.at(-1), { type: 'revocations_failed', reason: 'fetch failed' })
  const { length } = asked
  issuer.feed = () => copy({})
  await pass(3)
  t.same([asked[length]?.url.search, asked[length]?.headers.get('if-none-match')], ['', null])
})

t.test('an issuer that is away is asked with pauses, and not for hours apart', async (t) => {
  const { revocations, issuer, asked, pass } = following(t)
  issuer.feed = outage
  await revocations.hydrate()
  await pass(100)
  t.ok(asked.length >= 45 && asked.length <= 110, `${asked.length} requests in 100 s`)
})

t.test('a copy is fresh until it says, and for as long as two clocks may differ', async (t) => {
  for (const onStale of ['reject', 'accept'] as const) {
    const { revocations, issuer, clock, close } = following(t, { onStale, clockSkew: 5 })
    t.equal(revocations.isTooOld(), onStale === 'reject', 'before the first one')
    issuer.feed = () => copy({ exp: NOW + 60 })
    await revocations.hydrate()
    close()
    for (const [after, tooOld] of [
      [0, false],
      [64, false],
      [65, true],
      [1e6, true],
    ] as const) {
      clock.seconds = NOW + after
      t.equal(revocations.isTooOld(), onStale === 'reject' && tooOld, `${onStale}, ${after} s`)
    }
  }
})

t.test('dates may be off by what two clocks may differ, and by no second more', async (t) => {
  const CASES: [Copy, string][] = [
    [{ iat: NOW + 5, exp: NOW + 65 }, 'revoked'],
    [{ iat: NOW + 6, exp: NOW + 66 }, 'good'],
    [{ iat: NOW - 60, exp: NOW - 4 }, 'revoked'],
    [{ iat: NOW - 60, exp: NOW - 5 }, 'good'],
    [{ iat: NOW, exp: NOW + 3600 }, 'revoked'],
    [{ iat: NOW, exp: NOW + 3601 }, 'good'],
  ]
  for (const [dates, verdict] of CASES) {
    const { revocations, issuer } = following(t, { clockSkew: 5 })
    issuer.feed = () => copy({ ...dates, sessions: ['s1'] })
    await revocations.hydrate()
    t.equal(revocations.judge(caller), verdict, JSON.stringify(dates))
  }
})

t.test('a feed signed by a key that was just made is read, whatever strangers looked for', async (t) => {
  const { keys, revocations, issuer } = following(t)
  issuer.jwks = [{ ...jwk, kid: 'unusable' }, other]
  await keys.hydrate()
  for (const kid of ['a', 'b']) await keys.seek(kid)
  issuer.jwks = [jwk]
  issuer.feed = () => copy({ sessions: ['s1'] })
  await revocations.hydrate()
  t.equal(revocations.judge(caller), 'revoked')
})

t.test('closed: whoever waits is let go, what comes late is not applied, and nothing more is asked', async (t) => {
  for (const answer of [() => copy({ sessions: ['s1'] }), outage]) {
    const { keys, revocations, issuer, asked, events, pass, close } = following(t)
    await keys.hydrate()
    const { promise, resolve } = late(t)
    issuer.feed = () => promise
    let hydrated = false
    void revocations.hydrate().then(() => {
      hydrated = true
    })
    await settled()
    close()
    resolve(answer())
    await pass(60)
    t.equal(hydrated, true)
    t.equal(asked.length, 1)
    t.equal(revocations.judge(caller), 'good')
    t.same(
      events.map(({ type }) => type),
      ['keys_fetched'],
    )
  }
})

t.test('a list of a hundred thousand entries is read', async (t) => {
  const { revocations, issuer } = following(t)
  const sessions = Array.from({ length: 1e5 }, (_, i) => `ses_${String(i).padStart(22, '0')}`)
  issuer.feed = () => copy({ sessions })
  await revocations.hydrate()
  t.equal(revocations.size, 1e5)
})
