import t from 'tap'
import { type Copy, caller, jwk, NOW } from './feed-copies.ts'
import { copy, following, late, other, outage, settled } from './following.ts'

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
  await settled() // it does not know the change stream
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
