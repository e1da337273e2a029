import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { RemoteRevocations } from '../../src/verifier/feed/remote-revocations.ts'
import { RemoteKeys } from '../../src/verifier/keys/remote-keys.ts'
import { Standstill } from '../../src/verifier/standstill.ts'
import { resolveOptions } from './node-options.ts'
import '../support/fake-timeouts.ts'
import { type Copy, caller, ISSUER, jwk, NOW, signed } from './feed-copies.ts'

/** Passes the pauses between requests. */
async function soon(asked: Promise<void>): Promise<void> {
  let over = false
  void asked.then(() => {
    over = true
  })
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve))
    mock.timers.tick(1000)
  }
}

/** A follower that is handed these copies, one after the other. @returns its verdict on the caller after each */
async function verdicts(t: Test, copies: readonly Copy[], now = () => NOW): Promise<string[]> {
  const answers = await Promise.all(copies.map(signed))
  const found: string[] = []
  let next: (body: string) => void = () => undefined
  const applied: (() => void)[] = []
  const options = resolveOptions({
    issuer: ISSUER,
    audience: 'me',
    revocations: true,
    now,
    fetch: async (url) => {
      if (String(url).includes('jwks')) return Response.json({ keys: [jwk] })
      for (const resolve of applied.splice(0)) resolve()
      return new Response(await new Promise<string>((resolve) => (next = resolve)))
    },
  })
  if (options.feed === undefined) throw new Error('no feed')
  const standstill = new Standstill(options.now)
  standstill.start()
  const keys = new RemoteKeys(options, () => performance.now(), standstill)
  const revocations = new RemoteRevocations(options, options.feed, keys, standstill)
  t.teardown(() => [keys, revocations, standstill].map((part) => part.close()))
  await keys.hydrate()
  const asked = () => new Promise<void>((resolve) => applied.push(resolve))
  let waiting = asked()
  void revocations.hydrate()
  for (const answer of answers) {
    await soon(waiting)
    waiting = asked()
    next(answer)
    await soon(waiting) // it asks again when it has looked at the answer
    waiting = Promise.resolve()
    const key = keys.verificationPem(jwk.kid) === undefined ? ', its key withdrawn' : ''
    found.push(revocations.judge(caller) + key)
  }
  return found
}

t.test('the newer copy counts, and an older one that comes late takes nothing back', async (t) => {
  const revoked = { seq: 5, iat: NOW, sessions: ['s1'] }
  t.same(await verdicts(t, [{ seq: 4 }, revoked]), ['good', 'revoked'])
  t.same(await verdicts(t, [revoked, { seq: 4, iat: NOW }]), ['revoked', 'revoked'], 'lower number, same half-life')
  t.same(await verdicts(t, [revoked, { seq: 5, iat: NOW - 30 }]), ['revoked', 'revoked'], 'same number, older')
  t.same(
    await verdicts(t, [revoked, { seq: 4, iat: NOW + 1 }]),
    ['revoked', 'revoked'],
    'newer by date, and knows less',
  )
  t.same(
    await verdicts(t, [revoked, { seq: 4, iat: NOW + 1 }, { seq: 4, iat: NOW + 2 }]),
    ['revoked', 'revoked', 'revoked'],
    'and so does the copy after it',
  )
  const anew = 1_000_000_003 // a new history, begun by a server that had read less
  t.same(await verdicts(t, [revoked, { seq: anew, iat: NOW + 1 }]), ['revoked', 'revoked'], 'the store went back')
  t.same(await verdicts(t, [{ seq: anew }, { seq: anew + 1, sessions: ['s1'] }, { seq: anew + 2 }]), [
    'good',
    'revoked',
    'good',
  ])
  t.same(await verdicts(t, [revoked, { seq: 6, iat: NOW }]), ['revoked', 'good'], 'and what is over leaves')
  t.same(
    await verdicts(t, [revoked, { seq: 6, iat: NOW - 30 }]),
    ['revoked', 'good'],
    'of a server whose clock is behind',
  )
})

t.test('a key that was named once is never good again', async (t) => {
  const withdrawn = { seq: 5, keys: [jwk.kid] }
  const gone = 'good, its key withdrawn'
  t.same(await verdicts(t, [{ seq: 5 }, { ...withdrawn }]), ['good', gone], 'without a new number')
  t.same(await verdicts(t, [{ seq: 6 }, { ...withdrawn, iat: NOW - 30 }]), ['good', gone], 'also from an older copy')
})

t.test('a copy dated by a clock that was then set back is no measure', async (t) => {
  const clock = { seconds: NOW + 3600 }
  const early = { seq: 5, iat: NOW + 3600, exp: NOW + 3660 }
  const found = verdicts(t, [early, { seq: 5, iat: NOW, sessions: ['s1'] }], () => {
    const instant = clock.seconds
    clock.seconds = Math.max(NOW, clock.seconds - 1800)
    return instant
  })
  t.equal((await found).at(-1), 'revoked')
})

t.test('what is no feed of the issuer changes nothing', async (t) => {
  const revoked = { seq: 5, sessions: ['s1'] }
  const bad: Record<string, Copy> = {
    'signed by a stranger': { seq: 6, forged: true },
    'of another issuer': { seq: 6, iss: 'https://other.example' },
    'typed as a token': { seq: 6, header: { typ: 'at+jwt' } },
    'from the future': { seq: 6, iat: NOW + 60, exp: NOW + 120 },
    expired: { seq: 6, iat: NOW - 120, exp: NOW - 60 },
    'fresh for a day': { seq: 6, exp: NOW + 86_400 },
    'without a list': { seq: 6, sessions: undefined as never },
    'with a number that is text': { seq: '6' as never },
  }
  for (const [name, copy] of Object.entries(bad)) {
    t.same(await verdicts(t, [revoked, copy]), ['revoked', 'revoked'], name)
  }
})
