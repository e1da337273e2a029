import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { publicJwk } from '../../src/keys/jwk.ts'
import { generatePrivateKey } from '../../src/keys/private-keys.ts'
import { resolveOptions, type VerifierEvent, type VerifierOptions } from '../../src/verifier/options.ts'
import { RemoteKeys } from '../../src/verifier/remote-keys.ts'
import { RemoteRevocations } from '../../src/verifier/remote-revocations.ts'
import { Standstill } from '../../src/verifier/standstill.ts'
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
      asked.push({ url, headers: new Headers(init?.headers), signal: init?.signal as AbortSignal })
      return issuer.feed()
    },
    ...options,
  })
  if (resolved.feed === undefined) throw new Error('no feed')
  const standstill = new Standstill(resolved.now)
  const keys = new RemoteKeys(resolved, () => clock.milliseconds, standstill)
  const revocations = new RemoteRevocations(resolved, resolved.feed, keys, standstill)
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
  const { revocations, issuer, asked, pass } = following(t, { timeout: 2000 })
  issuer.feed = () => late(t).promise
  void revocations.hydrate()
  await pass(1.75)
  t.equal(asked[0]?.signal.aborted, false)
  await pass(0.25)
  t.equal(asked[0]?.signal.reason?.name, 'TimeoutError')

  const other = following(t, { timeout: 2000 })
  await other.revocations.hydrate()
  other.issuer.feed = () => late(t).promise
  await other.pass(27)
  t.equal(other.asked[1]?.signal.aborted, false, 'a pause of 0.25 s, and less than 27 s')
  await other.pass(0.25)
  t.equal(other.asked[1]?.signal.reason?.name, 'TimeoutError')
})

t.test('tokens wait for the first look, and then for none while all is well', async (t) => {
  for (const answer of [() => copy({}), outage]) {
    const { revocations, issuer, work, pass } = following(t)
    issuer.feed = answer
    const first = revocations.due()
    t.equal(revocations.due(), first)
    await first
    for (let second = 0; second < 50; second += 1) {
      t.equal(revocations.due(), undefined)
      work(1)
      await pass(0.25)
    }
  }
})

t.test('after a standstill tokens wait for one look, fresh or not, and the issuer is asked at once', async (t) => {
  for (const seconds of [3, 30, 3600]) {
    const { revocations, issuer, clock, asked, pass } = following(t)
    issuer.feed = () => copy({ exp: NOW + 60 })
    await revocations.hydrate()
    const { promise } = late(t)
    issuer.feed = () => promise // a long poll on a connection that nobody answers any more
    await pass(0.25)
    clock.seconds += seconds
    issuer.feed = () => copy({ seq: 1, iat: clock.seconds, exp: clock.seconds + 60, sessions: ['s1'] })
    const look = revocations.due()
    t.ok(look instanceof Promise, `${seconds} s`)
    t.equal(revocations.due(), look, 'one look for all')
    await look
    t.equal(revocations.judge(caller), 'revoked')
    t.equal(revocations.due(), undefined)
    t.same(
      asked.map(({ url }) => url.search),
      ['', '?wait=25', ''],
    )
  }
})

t.test('a copy that ends without a standstill is looked for once, and then onStale decides', async (t) => {
  const { revocations, issuer, clock, work, asked, pass } = following(t)
  await revocations.hydrate()
  const { promise } = late(t)
  issuer.feed = () => promise
  await pass(0.25)
  const { length } = asked
  work(64)
  t.equal(revocations.due(), undefined)
  work(1)
  issuer.feed = async () => new Response(null, { status: 500 })
  const look = revocations.due()
  t.ok(look instanceof Promise)
  await look
  t.equal(asked.length, length + 2, 'twice: the first may go out on a connection that is dead')
  for (let second = 0; second < 10; second += 1) {
    work(1)
    t.equal(revocations.due(), undefined, 'the issuer is known to be away')
  }
  clock.seconds += 3
  t.ok(revocations.due() instanceof Promise, 'but after a standstill it may be back')
})

t.test('a look that gives no fresh copy is not repeated by each token', async (t) => {
  const { revocations, issuer, clock, asked } = following(t)
  await revocations.hydrate()
  clock.seconds += 65
  issuer.feed = async () => new Response(null, { status: 304 }) // of a cache
  await revocations.due()
  const { length } = asked
  for (let i = 0; i < 10; i += 1) t.equal(revocations.due(), undefined)
  t.equal(asked.length, length)
})

t.test('a look that takes longer than the time-out is over, and is not repeated', async (t) => {
  const { revocations, issuer, clock, asked, pass } = following(t, { timeout: 2000 })
  await revocations.hydrate()
  issuer.feed = () => {
    const signal = asked.at(-1)?.signal
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  }
  await pass(0.25)
  clock.seconds += 65
  let isOver = false
  void revocations.due()?.then(() => {
    isOver = true
  })
  await pass(1.75)
  t.equal(isOver, false)
  await pass(0.25)
  t.equal(isOver, true)
  t.equal(asked.length, 3)
})

t.test('closed: nobody waits', async (t) => {
  const { revocations, clock, close } = following(t)
  await revocations.hydrate()
  close()
  clock.seconds += 100
  await revocations.due()
  t.equal(revocations.due(), undefined)
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
  const { keys, revocations, issuer, searches } = following(t)
  issuer.jwks = [{ ...jwk, kid: 'unusable' }, other]
  await keys.hydrate()
  for (const kid of ['a', 'b']) await keys.seek(kid)
  issuer.jwks = [jwk]
  issuer.feed = () => copy({ sessions: ['s1'] })
  await revocations.hydrate()
  t.equal(revocations.judge(caller), 'revoked')
  t.equal(searches.at(-1), `?kid=${jwk.kid}`, 'past any cache')
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
