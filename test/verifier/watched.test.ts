import t, { type Test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { AppError } from '../../src/errors/app-error.ts'
import { revokeKey } from '../../src/keys/change-keyring.ts'
import type { AccessTokenClaims } from '../../src/tokens/claims.ts'
import { UnknownKid } from '../../src/tokens/verify.ts'
import type { Verifier, VerifierEvent } from '../../src/verifier/index.ts'
import { Refused } from '../../src/verifier/refused.ts'
import { watchClaims } from '../../src/verifier/watch/watch-claims.ts'
import { bearer, newUser, PASSWORD } from '../support/app.ts'
import { verifying } from './verifying.ts'
import { token } from './watching.ts'

const applied = (event: VerifierEvent) => event.type === 'revocations_applied'

/** Collects what is told of tokens. `end` resolves when the token of that name is over. */
function watcher(verifier: Verifier) {
  const told: string[] = []
  const ends = new Map<string, () => void>()
  const watch = async (name: string, token: string) =>
    verifier.watch(await verifier.verify(token), (refusal, { code }) => {
      told.push(`${name} ${refusal} ${code}`)
      ends.get(name)?.()
    })
  const end = (name: string) => new Promise<void>((resolve) => void ends.set(name, resolve))
  return { told, watch, end }
}

t.test('what is taken back ends the connections of its token, and no others', async (t) => {
  const { server, verifier, clock, seen } = await verifying(t, { revocations: true })
  await verifier.hydrate()
  const { app } = server
  const [stays, goes, changes] = [await newUser(app), await newUser(app), await newUser(app)]
  const { told, watch, end } = watcher(verifier)
  for (const [name, { token }] of Object.entries({ stays, goes, changes })) await watch(name, token)
  await seen(applied)

  const logout = end('goes')
  await app.inject({ method: 'POST', url: '/v1/logout', headers: bearer(goes.token) })
  await logout
  t.same(told.splice(0), ['goes revoked_session invalid_token'])

  await server.database.query(`UPDATE accounts SET roles = '["admin"]' WHERE id = $1`, [stays.id])
  const payload = { email: stays.email, password: PASSWORD }
  const admin = (await app.inject({ method: 'POST', url: '/v1/login', payload })).json().access_token
  const url = `/v1/admin/accounts/${changes.id}`
  const change = end('changes')
  await app.inject({ method: 'PATCH', url, headers: bearer(admin), payload: { roles: ['support'] } })
  await change
  t.same(told.splice(0), ['changes stale_version token_stale'])

  await watch('same token', stays.token)
  const { kid } = server.keyring.signingKey()
  const key = end('stays')
  await revokeKey(server.folder, kid, { now: systemClock, bits: 2048, successor: true, force: true })
  await server.keyring.reload()
  await key
  t.same(told.splice(0), ['stays revoked_key invalid_token', 'same token revoked_key invalid_token'])

  const next = await newUser(app)
  await watch('next', next.token)
  const expiry = end('next')
  clock.seconds += 905
  await expiry
  t.same(told, ['next expired token_expired'])
  const { refused } = verifier.stats()
  t.match(refused, { revoked_session: 1, stale_version: 1, revoked_key: 1, expired: 1 }, 'each token counts once')
})

t.test('a feed that is too old, with onStale: "reject"', async (t) => {
  const { verifier, issuer, clock, seen, mint } = await verifying(t, { revocations: true, onStale: 'reject' })
  await verifier.hydrate()
  const { told, watch, end } = watcher(verifier)
  await watch('a', mint.token())
  await seen(applied)
  clock.seconds += 66 // as after a sleep: the issuer is asked first
  await seen(applied)
  t.same(told, [])
  const over = end('a')
  issuer.down = true
  clock.seconds += 66
  await over
  t.same(told, ['a feed_stale revocations_stale'])
})

t.test('a mistake of the caller is a TypeError', async (t) => {
  const { verifier, another, mint } = await verifying(t, {})
  const other = another({}, async () => undefined)
  const claims = await verifier.verify(mint.token())
  const nothing = () => undefined
  for (const [what, wrong] of [
    ['a copy', { ...claims }],
    ['claims of another verifier', await other.verify(mint.token())],
    ['nothing', undefined],
    ['null', null],
    ['a token', mint.token()],
  ] as [string, AccessTokenClaims][])
    t.throws(() => verifier.watch(wrong, nothing), { name: 'TypeError', message: /this verifier/ }, what)
  t.throws(() => verifier.watch(claims, undefined as never), { name: 'TypeError', message: /function/ })
  verifier.watch(claims, nothing)()
  verifier.close()
  t.throws(() => verifier.watch(claims, nothing), { name: 'TypeError', message: /closed/ }, 'after close')
})

t.test('a function that throws is an event', async (t) => {
  const { verifier, clock, mint, seen } = await verifying(t, {})
  const { told, watch, end } = watcher(verifier)
  const token = mint.token()
  verifier.watch(await verifier.verify(token), () => {
    throw new Error('the socket is gone')
  })
  await watch('b', token)
  clock.seconds += 1000
  await Promise.all([end('b'), seen((event) => event.type === 'watch_failed' && event.reason === 'the socket is gone')])
  t.same(told, ['b expired token_expired'])
})

type Parts = Parameters<typeof watchClaims>[0]

const KEYS: Parts['keys'] = { due: () => undefined, seek: async () => undefined, hasGoodKeys: () => true }

/** Watches a token of which the guard says what `again` says. */
function watchedBy(claims: AccessTokenClaims, again: () => unknown, parts: Partial<Parts> = {}, mode = 'follow') {
  return watchClaims({
    options: { mode, now: () => 0, policy: { skew: 5 }, onEvent: () => undefined } as never,
    again: again as never,
    kids: new WeakMap([[claims, 'k1']]),
    keys: KEYS,
    revocations: undefined,
    refused: new Refused(() => undefined),
    ...parts,
  })
}

const over = (watched: ReturnType<typeof watchClaims>, claims: AccessTokenClaims) =>
  new Promise<[refusal: string, status: number]>((resolve) => {
    watched.add(claims, (refusal, { status }) => resolve([refusal, status]))
  })

/** Which a watch does not do. */
function staysAlive(t: Test): void {
  const alive = setInterval(() => undefined, 2 ** 30)
  t.teardown(() => clearInterval(alive))
}

const unknownKey = () => {
  throw new UnknownKid('k1')
}

t.test('without timers nobody would be told', async (t) => {
  const claims = token('a')
  const watched = watchedBy(claims, unknownKey, {}, 'on-demand')
  t.throws(() => watched.add(claims, () => undefined), { name: 'TypeError', message: /on-demand/ })
})

t.test('a key that can not be looked for is no reason for a 401', async (t) => {
  staysAlive(t)
  const unavailable = new AppError('keys_unavailable', { refusal: 'keys_unavailable' })
  for (const [what, seek, refusal, status] of [
    ['the issuer is away', () => Promise.reject(unavailable), 'keys_unavailable', 503],
    ['it has no such key', () => Promise.resolve(), 'kid_unknown', 401],
  ] as const) {
    const claims = token('a')
    t.same(await over(watchedBy(claims, unknownKey, { keys: { ...KEYS, seek } }), claims), [refusal, status], what)
  }
})

t.test('what time alone takes away is noticed, and the issuer is asked for it', async (t) => {
  staysAlive(t)
  for (const what of ['keys', 'feed'] as const) {
    const claims = token('a')
    let [isGone, looks] = [false, 0]
    const due = () => {
      looks += 1
      isGone = true // from the first beat on
      return undefined
    }
    const again = () => {
      if (isGone) throw new AppError('revocations_stale', { refusal: 'feed_stale' })
    }
    const parts =
      what === 'feed'
        ? { revocations: { due, isTooOld: () => isGone } }
        : { keys: { ...KEYS, due, hasGoodKeys: () => !isGone } }
    t.same(await over(watchedBy(claims, again, parts), claims), ['feed_stale', 503], what)
    t.equal(looks, 2, `${what}: by the beat, and by the look before it counts`)
  }
})
